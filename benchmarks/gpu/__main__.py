"""``python -m benchmarks.gpu``: see :mod:`benchmarks.gpu`."""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.gpu.cases import CEILING, LIBRARIES, NETWORKS, PRECISIONS, tasks
from benchmarks.gpu.rounds import Row
from benchmarks.peers.turns import Worker

KEYS = ("network", "task", "library", "precision", "flags")
FIELDS = (*KEYS, "milliseconds", "tflop", "gigabytes", "compiling", "error", "device", "version", "date")


def measure(
    file: Path,
    until: float,
    *,
    networks: Sequence[str] = NETWORKS,
    precision: str = "tensorfloat32",
    seconds: float = 1,
    side: str = "8192",
) -> Iterator[Row]:
    """Rows of what is missing in a CSV file, each appended to it as soon as it is there.

    Args:
      until: no row is begun after this, by :func:`time.monotonic`.
      seconds: of a task's rounds.
      side: of the matrices whose product is the card's best.
    """
    flags, date = os.environ.get("XLA_FLAGS", ""), datetime.date.today().isoformat()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8", newline="") as opened:
        opened.seek(0)
        known = {tuple(row[key] for key in KEYS) for row in csv.DictReader(opened)}
        writer = csv.DictWriter(opened, FIELDS)
        if not file.stat().st_size:
            writer.writeheader()
        for library in LIBRARIES:
            for name in (CEILING, *networks):
                place = {"library": library, "network": name, "precision": precision, "flags": flags, "date": date}
                wanted = tasks(name, library, side)
                left = [t for t in wanted if (name, t, library, precision, flags) not in known]
                for measured in _rows(name, left, library, precision, seconds, until):
                    row = place | measured
                    writer.writerow(row)
                    opened.flush()
                    yield row


def _rows(name: str, left: list[str], library: str, precision: str, seconds: float, until: float) -> Iterator[Row]:
    """What a process measures of a network; where it dies or fails, the rest by another."""
    kind, method, variables, _ = LIBRARIES[library]
    environment = {key: os.environ.get(key, value) for key, value in variables.items()}
    left = list(left)
    while left and time.monotonic() < until:
        try:
            with Worker(kind, name, precision, environment=environment) as worker:
                while left and time.monotonic() < until:
                    yield {"task": left[0], **worker.ask(method, left[0], seconds)}
                    del left[0]
        except RuntimeError as error:
            yield {"task": left.pop(0), "error": str(error)}


def main() -> None:
    import benchmarks.gpu as about

    parser = argparse.ArgumentParser(description=about.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--seconds", type=float, default=1, help="of a task's rounds")
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--precision", choices=PRECISIONS, default="tensorfloat32")
    parser.add_argument("--side", default="8192", help="of the matrices whose product is the card's best")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder of gpu.csv")
    given = parser.parse_args()
    file = given.out / "gpu.csv"
    until = time.monotonic() + 60 * given.minutes
    for row in measure(
        file, until, networks=given.networks, precision=given.precision, seconds=given.seconds, side=given.side
    ):
        print({key: value for key, value in row.items() if value not in ("", None)}, flush=True)
    print(file)


if __name__ == "__main__":
    main()
