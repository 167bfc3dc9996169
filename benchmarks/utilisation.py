"""What share of a study's time its cores spend in bare compiled steps: all else is evaluation, start, planning, drawing.

    NPROC=1 python benchmarks/utilisation.py --seconds 690 [--cores 2] [--study config/config.yaml]

``--seconds`` is what a whole `make figures` took on this machine, without installation. For each shape of run the run's own
compiled step is timed, called from Python with nothing in between, on as many threads as a job has, and multiplied by the steps
of all runs of that shape. As the cores of a study are all busy, so are they here: as many processes as cores measure.
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, required=True, help="of the whole study")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--study", type=Path, default=ROOT / "config" / "config.yaml")
    arguments = parser.parse_args()
    found = shapes(arguments.study)
    with ProcessPoolExecutor(arguments.cores, get_context("spawn")) as pool:
        taken = list(pool.map(partial(bare, arguments.study), [runs[0] for runs in found]))
    total = 0.0
    for (step, steps, title), runs in zip(taken, found, strict=True):
        total += step * steps * len(runs)
        print(
            f"{title:70}{len(runs):4} runs × {steps:5} steps × {1e3 * step:7.2f} ms = {step * steps * len(runs):7.1f} s"
        )
    available = arguments.cores * arguments.seconds
    print(f"{total:.0f} s of bare steps in {available:.0f} core-seconds: {total / available:.2f}")


def shapes(study: Path) -> list[list[str]]:
    """Ids of runs, those that share a compiled step together."""
    from nmepkg.runs.expand import expand
    from nmepkg.specs import recipe, shape
    from nmepkg.study.load import load

    alike: dict[str, list[str]] = {}
    for id, run in expand(load(study)).runs.items():
        alike.setdefault(repr(shape(recipe(run.spec))), []).append(id)
    return list(alike.values())


def bare(study: Path, run: str, seconds: float = 2.0) -> tuple[float, int, str]:
    """(seconds of a run's bare step, its steps, what it is)."""
    from nmepkg import surroundings

    surroundings.settle()
    surroundings.compile_fast()
    import jax
    import numpy as np
    from training_loop import dataset

    from nmepkg import specs
    from nmepkg.runs.expand import expand
    from nmepkg.study.load import load
    from nmepkg.training import optimizer, step

    spec: dict[str, Any] = expand(load(study)).runs[run].spec
    data, recipe = dataset(), specs.recipe(spec)
    examples = len(data.train[0])
    program = step.make_program(recipe, data.classes, examples)
    hyper = jax.device_put(optimizer.hyperparameters(recipe, examples))
    arrays = jax.device_put(data.train)
    compiled = jax.jit(program.step, donate_argnums=0)
    state = jax.block_until_ready(compiled(jax.jit(program.init)(np.uint32(0), hyper, data.example), hyper, arrays))
    times, begin = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(20):
            state = compiled(state, hyper, arrays)
        jax.block_until_ready(state)
        times.append((time.perf_counter() - start) / 20)
    steps = spec["training"]["epochs"] * (examples // spec["training"]["batch_size"])
    method, activation = spec["method"]["name"], spec["activation"]["name"]
    return statistics.median(times), steps, f"{spec['model']['name']} {method} {activation}"


if __name__ == "__main__":
    main()
