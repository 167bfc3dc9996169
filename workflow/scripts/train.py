"""Trains one run: ``result.json`` and ``params.npz`` in its folder of the store, from a spec and prepared data.

Killed at any moment, it goes on from its last checkpoint the next time. SIGTERM, SIGUSR1 and SIGINT have it write one and
exit with code 75, upon which Snakemake, with ``retries``, starts it again.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import job

from nmepkg import gpus
from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.identity import data_id
from nmepkg.runs.jobs import Assignment
from nmepkg.runs.verify import planned_run

STOPPED = 75  # EX_TEMPFAIL
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


def main() -> None:
    parser = job.parser(__doc__)
    parser.add_argument(
        "--together",
        action="store_true",
        help="this is one of several processes that train the run: tasks of a Slurm step, or as JAX_COORDINATOR_ADDRESS says",
    )
    arguments = parser.parse_args()
    received = stop_signals()
    with job.one_line_errors(arguments.job.stem):
        given = jobs.read(arguments.job)
        run, together = given.job, arguments.together
        if not gpus.claim(given.gpus, together=together, stopping=lambda: bool(received)):
            print(f"{run.id}: stopped while it waited for a GPU", file=sys.stderr)
            sys.exit(STOPPED)
        whole = train(run, given, stopping=lambda: bool(received), cache=given.store.compiled, together=together)
    if not whole:
        print(f"{run.id}: stopped by {signal.Signals(received[0]).name}, to go on later", file=sys.stderr)
        from nmepkg.training import devices

        devices.leave(STOPPED)


def stop_signals() -> list[int]:
    """The signals that ask to stop, as they come."""
    received: list[int] = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, frame: received.append(number))
    return received


def train(
    run: Job,
    given: Assignment,
    *,
    stopping: Callable[[], bool],
    cache: Path | None,
    together: bool = False,
) -> bool:
    """Trains a run as it was planned.

    Args:
      given: to this job, of which the run is one.
      cache: of compiled programs; None: it is open already.
      together: whether other processes train it too, which are joined.

    Returns:
      Whether it came to its end; if not, ``stopping`` said so.

    Raises:
      UserError: study or code changed since, or what :func:`nmepkg.training.train.train` refuses.
    """
    planned = planned_run(run.id, run.spec, run.code)

    from nmepkg.training import devices
    from nmepkg.training import train as training
    from nmepkg.training.checkpoint import Interval, StoppedError  # after the arguments: they take a second

    if together:
        devices.join()
    gpus.check(given.gpus)
    planned.load()
    planned.describe(given.store)
    try:
        training.train(
            training.Task(
                run.id,
                run.spec,
                run.code,
                given.store.run(run.id),
                given.store.data(data_id(run.spec["data"])),
                given.source,
                run.snapshots,
                given.at_once,
            ),
            cache=cache,
            interval=Interval(given.checkpoints.get("seconds"), given.checkpoints.get("epochs")),
            stopping=stopping,
            verify=planned.check_imports,
        )
    except StoppedError:
        return False
    return True


if __name__ == "__main__":
    main()
