"""What ways of compiling for a CPU cost a step: those that jobs choose, XLA's own, and the user's.

    python -m benchmarks.xla_flags [--threads 2] [--rounds 9] [--out results/benchmarks]

For each model and method a process of each choice, of which one runs at a time (``benchmarks/peers/turns.py``); a ratio is the
median of rounds, in units of XLA's own choice. The largest relative change of a direction's numbers is beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.peers.__main__ import cpu
from benchmarks.peers.turns import Worker, rounds, seconds

CHOICES = {"XLA's own": None, "all off": "", "sums alone (jobs')": "reduce"}
MODELS = ("MLP 3×128", "ResNet1D 8", "CNN, 28×28", "CNN wide, 28×28", "WRN-16-1", "ViT, patch 4")
METHODS = ("sgd", "psam", "hessian_trace")


class Steps:
    """A model's directions, compiled as the process's ``XLA_FLAGS`` say."""

    def __init__(self, name: str, threads: int) -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        import jax

        from benchmarks.networks import NETWORKS, direction, problem  # JAX, now that its variables are set
        from nmepkg.registry import METHODS as METHODS_OF

        given = problem(NETWORKS[name])

        def program(method: Any) -> Callable[[], Any]:
            step, arguments = direction(given, method)
            compiled = step.lower(*arguments).compile()
            return lambda: jax.block_until_ready(compiled(*arguments))

        self._programs = {method: program(METHODS_OF[method].load()()) for method in METHODS}

    def seconds(self, method: str, repetitions: int) -> float:
        return seconds(self._programs[method], repetitions)

    def direction(self, method: str) -> Any:
        import jax
        from jax.flatten_util import ravel_pytree

        return jax.device_get(ravel_pytree(self._programs[method]())[0])


def measure(name: str, threads: int, most: int) -> list[dict[str, Any]]:
    """A row for each method and choice."""
    flag = "--xla_cpu_experimental_ynn_fusion_type"
    variables = {
        choice: {"XLA_FLAGS": "" if value is None else f"{flag}={value}", "NPROC": str(threads)}
        for choice, value in CHOICES.items()
    }
    rows = []
    with ExitStack() as running:
        workers = {
            choice: running.enter_context(Worker("benchmarks.xla_flags:Steps", name, threads, environment=of_choice))
            for choice, of_choice in variables.items()
        }
        for method in METHODS:
            times = rounds({c: partial(w.ask, "seconds", method) for c, w in workers.items()}, most, budget=8)
            directions = {choice: worker.ask("direction", method) for choice, worker in workers.items()}
            first, *_ = CHOICES
            for choice, taken in times.items():
                change = abs(directions[choice] - directions[first]).max() / abs(directions[first]).max()
                ratio = statistics.median(a / b for a, b in zip(taken, times[first], strict=True))
                row = {"model": name, "method": method, "choice": choice, "seconds": statistics.median(taken)}
                rows.append({**row, "ratio": ratio, "change": change, "threads": threads, "cpu": cpu()})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"xla_flags_{arguments.threads}.csv"
    for name in MODELS:
        new = measure(name, arguments.threads, arguments.rounds)
        for row in new:
            print(
                f"{row['model']:18}{row['method']:15}{row['choice']:20}{1e3 * row['seconds']:9.2f} ms{row['ratio']:6.2f}",
                flush=True,
            )
        found += new
        pd.DataFrame(found).to_csv(file, index=False, float_format="%.4g")
    print(file)


if __name__ == "__main__":
    main()
