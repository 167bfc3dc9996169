"""One run, from its task to its files.

The numbers come from :mod:`nmepkg.training.loop`, and a run's id stands for what that imports and for what the registry
names. Nothing here, nor in the modules of checkpoints, journal, progress, provenance and compilation, may change a number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TextIO

import jax

from nmepkg import records, specs
from nmepkg.entries import load_target
from nmepkg.errors import UserError
from nmepkg.files import locked
from nmepkg.registry import DATASETS
from nmepkg.specs import Recipe
from nmepkg.storage import RESULT, lacking
from nmepkg.training import compilation, devices, hosts, loop, result
from nmepkg.training.checkpoint import NEVER, Checkpoints, Interval, StoppedError
from nmepkg.training.journal import Journal
from nmepkg.training.progress import Progress
from nmepkg.training.provenance import Account
from nmepkg.training.step import State

Result = dict[str, Any]  # content of result.json
Say = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """A run to train.

    Attributes:
      run: its id.
      spec: canonical and complete, as the study expands it.
      code: hash of the code, recorded.
      directory: where the files go.
      data: prepared data (.npz).
      source: folder that data are streamed from, where they are.
      snapshots: the steps after which its parameters are kept, at least.
      at_once: runs that share its device and threads, with this one, recorded.
    """

    run: str
    spec: Mapping[str, Any]
    code: str
    directory: Path
    data: Path
    source: Path | None = None
    snapshots: tuple[int, ...] = ()
    at_once: int = 1

    @cached_property
    def recipe(self) -> Recipe:
        """The spec, as typed values."""
        return specs.recipe(self.spec)

    @property
    def result(self) -> Path:
        """The file that a finished run has."""
        return self.directory / "result.json"

    def open(self) -> Any:
        """Its data set.

        Raises:
          UserError: data that are missing, damaged or too few.
        """
        return load_target(DATASETS[self.recipe.data.name].reader)(self.data, self.recipe, self.source)


def train(
    task: Task,
    *,
    cache: Path | None = None,
    interval: Interval = NEVER,
    stopping: Callable[[], bool] = lambda: False,
    verify: Callable[[], None] = lambda: None,
    stream: TextIO = sys.stderr,
) -> Result:
    """Trains a run and writes ``result.json``, ``params.npz`` and the snapshots that are asked for.

    The result depends on spec, data, code, and on what its ``provenance`` records: versions, device, threads, and the variables
    of :mod:`nmepkg.surroundings`. On the same CPU and with the same of these, a repeated run is equal to the bit, and so is
    one that was killed and resumed. A run that is finished is left as it is; one that lacks parameters or a snapshot is trained
    again from its seed, and keeps the snapshots that are in its folder too. Of two processes that train the same run, one waits
    for the other. Where several processes train it together (:func:`nmepkg.training.devices.join`), the first does all of this,
    and the others just take its steps.

    Args:
      task: what is trained, from what, to where.
      cache: folder of the compilation cache; None compiles afresh.
      interval: when checkpoints are due.
      stopping: asked after every step whether to end, with a checkpoint.
      verify: called after every epoch and before the result is written; raises if the modules in use are not those that
        ``task.code`` is the hash of.
      stream: where progress goes.

    Returns:
      The content of ``result.json``; nothing in processes that follow.

    Raises:
      UserError: data that are missing, damaged or too few.
      StoppedError: it was asked to stop, and has written a checkpoint.
      OSError: the directory cannot be written.
    """
    say = partial(print, file=stream, flush=True)
    if not devices.leads():
        with compilation.cache(cache):
            hosts.follow(task.recipe, task.open())
        return {}
    with locked(task.directory / ".lock", _patience(stopping, say)), compilation.cache(cache):
        for half in task.directory.rglob(".*.*"):  # what a killed process was writing: the lock says that nobody is now
            half.unlink()
        if (found := _finished(task, say)) is not None:
            (task.directory / ".lock").unlink(missing_ok=True)
            hosts.announce(hosts.FINISHED)
            return found
        content = _train(task, interval, stopping, verify, say, stream)
        for leftover in ("checkpoint.npz", "state.json", ".lock"):
            (task.directory / leftover).unlink(missing_ok=True)
        return content


def _patience(stopping: Callable[[], bool], say: Say) -> Callable[[], None]:
    """What to do while another process has the run."""
    said: list[str] = []

    def wait() -> None:
        if stopping():
            raise StoppedError
        if not said:
            said.append("another process trains this run: waiting for it to end")
            say(said[0])

    return wait


def _finished(task: Task, say: Say) -> Result | None:
    """The result of a run that is whole. What is left of one that is not never looks like a whole one again."""
    if not task.result.exists():
        return None
    found = records.read(task.result, RESULT, {"run": task.run, "spec": dict(task.spec)})
    missing = lacking(task.directory, found, task.snapshots)
    if not missing:
        say("finished already: nothing to do")
        return found
    first = missing[0]
    if str(first.relative_to(task.directory)) in found["files"]:
        say(f"{first.name} of the finished run is gone: it is trained again")
    else:
        say(f"the finished run has kept no parameters of step {first.stem}: it is trained again")
    task.result.unlink()
    return None


def _train(
    task: Task,
    interval: Interval,
    stopping: Callable[[], bool],
    verify: Callable[[], None],
    say: Say,
    stream: TextIO,
) -> Result:
    """Trains from where an earlier process came to, and writes the result."""
    epochs, used = task.recipe.training.epochs, devices.layout(task.recipe).devices
    # What others have asked for is kept on: studies that share the run do not train it in turns.
    kept = sorted({*task.snapshots, *result.snapshots_in(task.directory)})
    if used < jax.device_count():
        say(f"uses {used} of {jax.device_count()} devices: no more can share a batch evenly")
    account = Account(task.recipe.training.matmul_precision, code=task.code, devices=used, at_once=task.at_once)
    journal = Journal(task.directory / "state.json", task.run, epochs)
    checkpoints = Checkpoints(task.directory / "checkpoint.npz", task.run, interval, stopping, account)
    progress = Progress(epochs, stream)

    def resume(shapes: Callable[[], State]) -> loop.Position | None:
        position = _resume(task, kept, checkpoints, shapes, say)
        if position is None:
            hosts.announce(hosts.BEGINS)
            return None
        hosts.announce(hosts.RESUMES, position.state)
        journal.spent = account.spent
        return position

    def snapshot(step: int, state: State) -> None:
        if step in kept:
            result.write_state(result.snapshot_path(task.directory, step), state)

    def report(epoch: int, row: loop.Row | None) -> None:
        progress(epoch, row)
        journal(epoch, row)
        verify()

    with _noting_failure(journal):
        dataset = task.open()
        outcome = loop.train(
            task.recipe,
            dataset,
            report=report,
            snapshot=snapshot,
            resume=resume,
            checkpoint=checkpoints,
        )
        if outcome.diverged is not None:
            say(f"diverged in epoch {outcome.diverged['epoch']}: the loss is no longer a finite number")
        verify()
        provenance = {"data": task.data.stem, "data_sha256": dataset.sha256, **account.provenance()}
        return result.write(task.directory, task.run, task.spec, kept, outcome, provenance)


def _resume(
    task: Task, kept: Iterable[int], checkpoints: Checkpoints, shapes: Callable[[], State], say: Say
) -> loop.Position | None:
    """Where an earlier process came to; None if there was none, or it is past a snapshot that is not there."""
    try:
        position = checkpoints.resume(shapes)
    except records.DamagedError as problem:
        say(f"{problem}. Training begins anew")
        return None
    if position is None:
        return None
    step = int(position.state.step)
    paths = (result.snapshot_path(task.directory, at) for at in kept if at <= step)
    if lost := next((path for path in paths if not path.is_file()), None):
        say(f"{lost}: an earlier process came to step {step} without this snapshot. Training begins anew")
        return None
    say(f"continues after step {position.state.step} of an earlier process")
    return position


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
