"""Trains one run: ``result.json`` and ``params.npz`` in its folder of the store, from a spec and prepared data.

Killed at any moment, it goes on from its last checkpoint the next time. SIGTERM, SIGUSR1 and SIGINT have it write one and
exit with code 75, upon which Snakemake, with ``retries``, starts it again.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import job

from nmepkg import gpus
from nmepkg.storage import Store
from nmepkg.study.identity import data_id
from nmepkg.study.spec import Spec
from nmepkg.study.verify import planned_run

STOPPED = 75  # EX_TEMPFAIL


def main() -> None:
    parser = job.parser(__doc__)
    add_options(parser)
    parser.add_argument(
        "--together",
        action="store_true",
        help="this is one of several processes that train the run: tasks of a Slurm step, or as JAX_COORDINATOR_ADDRESS says",
    )
    arguments = parser.parse_args()
    received = stop_signals()
    with job.one_line_errors(arguments.id):
        if not gpus.claim(arguments.gpus, together=arguments.together, stopping=lambda: bool(received)):
            print(f"{arguments.id}: stopped while it waited for a GPU", file=sys.stderr)
            sys.exit(STOPPED)
        whole = train(
            arguments.store,
            arguments.id,
            arguments.spec,
            arguments.code,
            arguments,
            stopping=lambda: bool(received),
            cache=arguments.store.compiled,
            together=arguments.together,
        )
    if not whole:
        print(f"{arguments.id}: stopped by {signal.Signals(received[0]).name}, to go on later", file=sys.stderr)
        from nmepkg.training import devices

        devices.leave(STOPPED)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what a training may be told, besides what it is."""
    parser.add_argument("--checkpoint-seconds", type=float, help="seconds between checkpoints")
    parser.add_argument("--checkpoint-epochs", type=int, help="epochs between checkpoints")
    parser.add_argument("--source", type=Path, help="folder of data that are streamed")


def stop_signals() -> list[int]:
    """The signals that ask to stop, as they come."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda number, frame: received.append(number))
    return received


def train(
    store: Store,
    id: str,
    spec: Spec,
    code: str,
    options: argparse.Namespace,
    *,
    stopping: Callable[[], bool],
    cache: Path | None,
    together: bool = False,
) -> bool:
    """Trains a run as it was planned.

    Args:
      options: of :func:`add_options`, and ``gpus``.
      cache: of compiled programs; None: it is open already.
      together: whether other processes train it too, which are joined.

    Returns:
      Whether it came to its end; if not, ``stopping`` said so.

    Raises:
      UserError: study or code changed since, or what :func:`nmepkg.training.run.run` refuses.
    """
    planned = planned_run(id, spec, code)

    from nmepkg.training import devices
    from nmepkg.training.checkpoint import Interval, StoppedError  # after the arguments: they take a second
    from nmepkg.training.run import run

    if together:
        devices.join()
    gpus.check(options.gpus)
    planned.load()
    planned.describe(store)
    try:
        run(
            spec,
            store.data(data_id(spec["data"])),
            store.run(id),
            name=id,
            code=code,
            source=options.source,
            cache=cache,
            interval=Interval(options.checkpoint_seconds, options.checkpoint_epochs),
            stopping=stopping,
            verify=planned.check_imports,
        )
    except StoppedError:
        return False
    return True


if __name__ == "__main__":
    main()
