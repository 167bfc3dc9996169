"""What checkpoints cost a training: asking after every step, and writing one every half a second.

    python benchmarks/checkpoints.py [--rounds 7]

The training loop without, with checkpoints that are never due, and with one wanted every 0.5 s (the default is 60 s), in turns
in one process; figures are medians over rounds. The disk is that of the temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))
from training_loop import STUDY, dataset

from nmepkg.study.expand import expand
from nmepkg.study.load import load
from nmepkg.training import loop
from nmepkg.training.checkpoint import Checkpoints, Interval
from nmepkg.training.provenance import Account


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    runs = expand(load(STUDY)).runs.values()
    print(f"{'run':16}{'seconds':>9}{'never due / without':>21}{'every 0.5 s / without':>23}{'one checkpoint':>16}")
    for model, epochs in (("mlp", 300), ("resnet1d", 20)):
        spec = next(r.spec for r in runs if (r.spec["model"]["name"], r.spec["method"]["name"]) == (model, "psam"))
        with tempfile.TemporaryDirectory() as folder:
            measure(spec, epochs, Path(folder), rounds)


def measure(spec: dict[str, Any], epochs: int, folder: Path, rounds: int) -> None:
    spec = {**spec, "training": {**spec["training"], "epochs": epochs, "evaluate_every": epochs}}
    data, account = dataset(), Account(code="")

    def train(between: Callable[[loop.Position, bool], None]) -> float:
        """Seconds from the end of the first epoch, which compiles."""
        marks: list[float] = []
        loop.train(
            spec, data, lambda epoch, row: marks.append(time.perf_counter()), lambda step, state: None, between=between
        )
        return marks[-1] - marks[1]

    writes: list[float] = []

    def checkpoints(interval: Interval) -> Callable[[loop.Position, bool], None]:
        written = Checkpoints(folder / "checkpoint.npz", "run", interval, lambda: False, account)

        def timed(position: loop.Position, epoch_done: bool) -> None:
            (folder / "checkpoint.npz").unlink(missing_ok=True) if epoch_done else None
            start = time.perf_counter()
            written(position, epoch_done)
            if epoch_done and (folder / "checkpoint.npz").exists():
                writes.append(time.perf_counter() - start)

        return timed if interval.seconds else written

    rows = []
    for _ in range(rounds + 1):
        without = train(lambda position, epoch_done: None)
        never = train(checkpoints(Interval(None, None)))
        often = train(checkpoints(Interval(0.5, None)))
        rows.append((without, never / without, often / without))
    seconds, never, often = (statistics.median(column) for column in zip(*rows[1:], strict=True))
    one = f"{1e3 * statistics.median(writes):.1f} ms" if writes else "none"
    print(f"{spec['model']['name']:16}{seconds:9.2f}{never:21.3f}{often:23.3f}{one:>16}", flush=True)


if __name__ == "__main__":
    main()
