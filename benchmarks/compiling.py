"""What compiling costs, and a step then: with more probes, smaller groups, and more layers.

    python -m benchmarks.compiling [--rounds 5] [--out results/benchmarks]

On a CPU the probes of a step are written out, which is more to compile, and groups of m examples are taken at once. The other
way is a compiled loop (``Execution(unroll=False)``), as on accelerators. Steps take turns; medians of rounds; nothing is
cached.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pandas as pd

from benchmarks.networks import NETWORKS, Network, direction, mlp, problem
from nmepkg.methods.parts import Execution
from nmepkg.registry import METHODS

WAYS = {"written out": Execution(unroll=True), "loop": Execution(unroll=False)}


def cases() -> Iterator[tuple[str, Network, str, dict[str, int]]]:
    """(network's name, network, method, its options)."""
    for name in ("MLP 3×128", "CNN, 28×28", "ResNet1D 8"):
        for samples in (1, 4, 16):
            yield name, NETWORKS[name], "hessian_trace", {"samples": samples}
    for m in (128, 32, 8):
        yield "CNN, 28×28", NETWORKS["CNN, 28×28"], "psam", {"m": m}
    for depth in (3, 6, 12, 24):
        yield f"MLP {depth}×128", mlp(depth), "hessian_trace", {"samples": 1}


def measure(network: Network, method: str, options: dict[str, int], rounds: int) -> dict[str, Any]:
    """Seconds of tracing, compiling and a step, for each way."""
    given = problem(network)
    found: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    for way, execution in WAYS.items():
        step, arguments = direction(given, METHODS[method].load()(**options, execution=execution))
        start = time.perf_counter()
        lowered = step.lower(*arguments)
        traced = time.perf_counter()
        steps[way] = lowered.compile()
        found |= {f"trace, {way}": traced - start, f"compile, {way}": time.perf_counter() - traced}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds + 1):  # the first round warms up
        for way, compiled in steps.items():
            start = time.perf_counter()
            jax.block_until_ready(compiled(*arguments))
            seconds[way].append(time.perf_counter() - start)
    return found | {f"step, {way}": statistics.median(times[1:]) for way, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{'seconds':46}" + "".join(f"{what:>13}" for way in WAYS for what in ("trace", "compile", "step")))
    print(f"{'':46}" + "".join(f"{way:>13}{'':26}" for way in WAYS))
    rows: list[dict[str, Any]] = []
    for name, network, method, options in cases():
        found = measure(network, method, options, arguments.rounds)
        ((option, value),) = options.items()
        numbers = "".join(f"{found[f'{what}, {way}']:13.3f}" for way in WAYS for what in ("trace", "compile", "step"))
        print(f"{name:14}{method:16}{option:>8} {value:<7}{numbers}", flush=True)
        rows.append({"model": name, "method": method, "option": option, "value": value, **found})
        pd.DataFrame(rows).to_csv(arguments.out / "compiling.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
