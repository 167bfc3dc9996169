"""Trains one run: ``result.json`` and ``params.npz`` in its folder of the store, from a spec and prepared data.

Killed at any moment, it goes on from its last checkpoint the next time. SIGTERM, SIGUSR1 and SIGINT have it write one and
exit with code 75, upon which Snakemake, with ``retries``, starts it again.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import job

from nmepkg.study.identity import data_id
from nmepkg.study.verify import planned_run


def main() -> None:
    parser = job.parser(__doc__)
    parser.add_argument("--checkpoint-seconds", type=float, help="seconds between checkpoints")
    parser.add_argument("--checkpoint-epochs", type=int, help="epochs between checkpoints")
    parser.add_argument("--source", type=Path, help="folder of data that are streamed")
    arguments = parser.parse_args()
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda number, frame: received.append(number))

    with job.one_line_errors(arguments.id):
        spec, store = arguments.spec, arguments.store
        planned = planned_run(arguments.id, spec, arguments.code)

        from nmepkg.training import devices
        from nmepkg.training.checkpoint import Interval, StoppedError  # after the arguments: they take a second
        from nmepkg.training.run import run

        devices.join()
        planned.load()
        planned.describe(store)
        try:
            run(
                spec,
                store.data(data_id(spec["data"])),
                store.run(arguments.id),
                name=arguments.id,
                code=arguments.code,
                source=arguments.source,
                cache=store.compiled,
                interval=Interval(arguments.checkpoint_seconds, arguments.checkpoint_epochs),
                stopping=lambda: bool(received),
                verify=planned.check_imports,
            )
        except StoppedError:
            print(f"{arguments.id}: stopped by {signal.Signals(received[0]).name}, to go on later", file=sys.stderr)
            devices.leave(75)  # EX_TEMPFAIL


if __name__ == "__main__":
    main()
