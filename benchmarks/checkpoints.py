"""What checkpoints cost a training: asking after every step, and writing one every half a second.

    python benchmarks/checkpoints.py [--rounds 7]

The training loop without checkpoints, with some that are never due, and with one wanted every 0.5 s (the default is 60 s), in
turns in one process; figures are medians over rounds. The disk is that of the temporary folder.
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

from nmepkg import specs
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.training import loop
from nmepkg.training.checkpoint import Checkpoints, Interval
from nmepkg.training.provenance import Account


class Timed(Checkpoints):
    """Checkpoints that know what they cost; waiting for steps under way is none of it, as these have to be taken anyway."""

    seconds, count = 0.0, 0

    def _write(self, position: loop.Position) -> None:
        super()._write(position)
        self.seconds, self.count = self.seconds + self._cost, self.count + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    runs = expand(load(STUDY)).runs.values()
    print(
        f"{'run':16}{'seconds':>9}{'never due / without':>21}{'share of writing, every 0.5 s':>31}{'one checkpoint':>16}"
    )
    for model, epochs in (("mlp", 100), ("resnet1d", 8)):
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
            specs.recipe(spec),
            data,
            lambda epoch, row: marks.append(time.perf_counter()),
            lambda step, state: None,
            checkpoint=between,
        )
        return marks[-1] - marks[1]

    def checkpoints(interval: Interval) -> Timed:
        return Timed(folder / "checkpoint.npz", "run", interval, lambda: False, account)

    rows = []
    for _ in range(rounds + 1):
        without, never = train(lambda position, epoch_done: None), train(checkpoints(Interval(None, None)))
        often = checkpoints(Interval(0.5, None))
        total = train(often)
        rows.append((without, never / without, often.seconds / total, often.seconds / max(often.count, 1)))
    seconds, never, share, one = (statistics.median(column) for column in zip(*rows[1:], strict=True))
    print(f"{spec['model']['name']:16}{seconds:9.2f}{never:21.3f}{share:31.4f}{1e3 * one:13.1f} ms", flush=True)


if __name__ == "__main__":
    main()
