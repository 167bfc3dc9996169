"""One run, from a canonical spec and prepared data to its files.

The numbers come from :mod:`nmepkg.training.loop`, and a run's id stands for what that imports and for what the registry
names. Nothing here, nor in the modules of checkpoints, journal, progress, provenance and compilation, may change a number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import jax

from nmepkg import records
from nmepkg.entries import load_target
from nmepkg.errors import UserError
from nmepkg.files import locked
from nmepkg.registry import DATASETS
from nmepkg.storage import RESULT, gone
from nmepkg.training import compilation, devices, hosts, loop, result
from nmepkg.training.checkpoint import NEVER, Checkpoints, Interval, StoppedError
from nmepkg.training.journal import Journal
from nmepkg.training.progress import Progress
from nmepkg.training.provenance import Account
from nmepkg.training.step import State


def run(
    spec: Mapping[str, Any],
    data: Path,
    directory: Path,
    *,
    name: str,
    code: str,
    source: Path | None = None,
    cache: Path | None = None,
    interval: Interval = NEVER,
    stopping: Callable[[], bool] = lambda: False,
    verify: Callable[[], None] = lambda: None,
    stream: TextIO = sys.stderr,
) -> dict[str, Any]:
    """Trains a run and writes ``result.json``, ``params.npz`` and the snapshots that its spec asks for.

    The result depends on spec, data, code, and on what its ``provenance`` records: versions, device, threads, and the variables
    of :mod:`nmepkg.surroundings`. On the same machine and with the same of these, a repeated run is equal to the bit, and so is
    one that was killed and resumed. A run that is finished is left as it is; one whose files are not all there any more is
    trained again. Of two processes that train the same run, one waits for the other. Where several processes train it together
    (:func:`nmepkg.training.devices.join`), the first does all of this, and the others just take its steps.

    Args:
      spec: canonical and complete, as the study expands it.
      data: prepared data (.npz).
      directory: where the files go.
      source: folder that data are streamed from, where they are.
      name: the run's id.
      code: hash of the code, recorded.
      cache: folder of the compilation cache; None compiles afresh.
      interval: when checkpoints are due.
      stopping: asked after every step whether to end, with a checkpoint.
      verify: called after every epoch and before the result is written; raises if the modules in use are not those that
        ``code`` is the hash of.
      stream: where progress goes.

    Returns:
      The content of ``result.json``; nothing in processes that follow.

    Raises:
      UserError: data that are missing, damaged or too few.
      StoppedError: it was asked to stop, and has written a checkpoint.
      OSError: the directory cannot be written.
    """

    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    def opened() -> Any:
        return load_target(DATASETS[spec["data"]["name"]].reader)(data, spec, source)

    if not devices.leads():
        with compilation.cache(cache):
            hosts.follow(spec, opened())
        return {}
    waiting: list[str] = []

    def wait() -> None:
        if stopping():
            raise StoppedError
        if not waiting:
            waiting.append("another process trains this run: waiting for it to end")
            say(waiting[0])

    with locked(directory / ".lock", wait), compilation.cache(cache):
        for half in directory.rglob(".*.*"):  # what a killed process was writing: the lock says that nobody is now
            half.unlink()
        if (directory / "result.json").exists():
            found = records.read(directory / "result.json", RESULT, {"run": name, "spec": dict(spec)})
            lost = next(gone(directory, found), None)
            if lost is None:
                say("finished already: nothing to do")
                (directory / ".lock").unlink(missing_ok=True)
                hosts.announce(hosts.FINISHED)
                return found
            say(f"{lost.name} of the finished run is gone: it is trained again")
            (directory / "result.json").unlink()  # first, so that what is left of a run never looks like a whole one
        used = devices.layout(spec).devices
        if used < jax.device_count():
            say(f"uses {used} of {jax.device_count()} devices: no more can share a batch evenly")
        account = Account(code=code, devices=used)
        journal = Journal(directory / "state.json", name, spec["training"]["epochs"])
        checkpoints = Checkpoints(directory / "checkpoint.npz", name, interval, stopping, account)
        progress = Progress(spec["training"]["epochs"], stream)

        def resume(shapes: Callable[[], State]) -> loop.Position | None:
            try:
                position = checkpoints.resume(shapes)
            except records.DamagedError as problem:
                say(f"{problem}. Training begins anew")
                position = None
            if position is not None and (lost := _lost_snapshot(spec, directory, int(position.state.step))):
                say(f"{lost}: this snapshot is gone. Training begins anew")
                position = None
            if position is None:
                hosts.announce(hosts.BEGINS)
                return None
            hosts.announce(hosts.RESUMES, position.state)
            journal.spent = account.spent
            say(f"continues after step {position.state.step} of an earlier process")
            return position

        def report(epoch: int, row: loop.Row | None) -> None:
            progress(epoch, row)
            journal(epoch, row)
            verify()

        with _noting_failure(journal):
            dataset = opened()
            outcome = loop.train(
                spec,
                dataset,
                report=report,
                snapshot=lambda step, state: result.write_state(result.snapshot_path(directory, step), state),
                resume=resume,
                between=checkpoints,
            )
            if outcome.diverged is not None:
                say(f"diverged in epoch {outcome.diverged['epoch']}: the loss is no longer a finite number")
            verify()
            provenance = {"data": data.stem, "data_sha256": dataset.sha256, **account.provenance()}
            content = result.write(directory, name, spec, outcome, provenance)
        for leftover in ("checkpoint.npz", "state.json", ".lock"):
            (directory / leftover).unlink(missing_ok=True)
        return content


def _lost_snapshot(spec: Mapping[str, Any], directory: Path, step: int) -> Path | None:
    """A snapshot that a training took before it was interrupted after ``step`` and that is there no more."""
    taken = (result.snapshot_path(directory, at) for at in spec["training"]["snapshots"] if at <= step)
    return next((path for path in taken if not path.is_file()), None)


@contextmanager
def _noting_failure(journal: Journal) -> Iterator[None]:
    """Leaves word of how a training ended before its end, as far as the disk still takes it."""
    try:
        yield
    except StoppedError:
        with suppress(OSError):
            journal.write("stopped")
        raise
    except Exception as error:
        with suppress(OSError):
            journal.write("failed", str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        raise
