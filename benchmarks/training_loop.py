"""How much of the bare compiled step's speed the training loop keeps, evaluation apart and with it.

    python benchmarks/training_loop.py [--rounds 7]

The bare step is the run's own compiled step, called from Python with nothing in between. Both are timed in one process, in
turns; the figure is the median over rounds of their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nmepkg import specs
from nmepkg.data.store import Dataset
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.training import loop, optimizer, step

STUDY = Path(__file__).parents[1] / "config" / "config.yaml"


def dataset() -> Dataset:
    """Random data of the default study's shape."""
    rng = np.random.default_rng(0)

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, 40)).astype(np.float32), rng.integers(10, size=n).astype(np.int32)

    return Dataset(part(3600), part(400), part(1000), 10, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    runs = expand(load(STUDY)).runs.values()
    data = dataset()
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}")
    print(f"{'run':40}{'bare step':>12}{'loop / bare':>13}{'with evaluation':>17}")
    for model in ("mlp", "resnet1d"):
        for method in ("sgd", "psam"):
            spec = next(r.spec for r in runs if (r.spec["model"]["name"], r.spec["method"]["name"]) == (model, method))
            measure(spec, data, rounds)


def measure(spec: dict[str, Any], data: Dataset, rounds: int) -> None:
    epochs = 11  # one evaluation in ten epochs
    steps = epochs * (len(data.train[0]) // spec["training"]["batch_size"])
    spec = {**spec, "training": {**spec["training"], "epochs": epochs, "evaluate_every": epochs, "evaluate_last": 1}}
    program = step.make_program(specs.recipe(spec), data.classes, data.sizes[0])
    hyper = jax.device_put(optimizer.hyperparameters(specs.recipe(spec), len(data.train[0])))
    arrays = jax.device_put(data.train)
    compiled = jax.jit(program.step, donate_argnums=0)

    def bare() -> float:
        state = jax.jit(program.init)(np.uint32(0), hyper, data.example)
        state = jax.block_until_ready(compiled(state, hyper, arrays))
        start = time.perf_counter()
        for _ in range(steps):
            state = compiled(state, hyper, arrays)
        jax.block_until_ready(state)
        return time.perf_counter() - start

    def whole() -> tuple[float, float]:
        """Seconds for as many steps in the loop: without and with the evaluation that ends it. Epoch 1 compiles."""
        marks: list[float] = []
        loop.train(
            specs.recipe(spec), data, lambda epoch, row: marks.append(time.perf_counter()), lambda step, state: None
        )
        return (marks[-2] - marks[1]) * epochs / (epochs - 2), (marks[-1] - marks[1]) * epochs / (epochs - 1)

    ratios = []
    for _ in range(rounds + 1):
        reference, (alone, evaluated) = bare(), whole()
        ratios.append((reference / steps, reference / alone, reference / evaluated))
    seconds, alone, evaluated = (statistics.median(column) for column in zip(*ratios[1:], strict=True))
    title = f"{spec['model']['name']} {spec['method']['name']}"
    print(f"{title:40}{1e3 * seconds:9.2f} ms{alone:13.3f}{evaluated:17.3f}")


if __name__ == "__main__":
    main()
