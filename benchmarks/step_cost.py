"""What a step of each method costs, in units of one SGD gradient: time (median of interleaved rounds), FLOPs and memory.

    python -m benchmarks.step_cost [--rounds 15]

Models: a small CNN on 28×28 images and the default study's two, batch 128, float32. FLOPs are XLA's own count of the compiled
step (`cost_analysis`), memory is that of its intermediate values. Times of one round are taken back to back, so that a busy
machine slows them all alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import jax

from benchmarks.networks import NETWORKS, Network, direction, problem
from nmepkg.registry import METHODS

MODELS = ("CNN, 28×28", "MLP 3×128", "ResNet1D 8")
STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {}),
    "sam": ("sam", {}),
    "asam": ("asam", {}),
    "functional_sam": ("functional_sam", {}),
    "psam": ("psam", {}),
    "psam_gn": ("psam_gn", {}),
    "psam_nme": ("psam_nme", {}),
    "psam_fd": ("psam_fd", {"step": 1e-2}),
    "weight_noise": ("weight_noise", {}),
    "hessian_trace": ("hessian_trace", {}),
    "hessian_trace ×2": ("hessian_trace", {"samples": 2}),
    "hessian_trace ×5": ("hessian_trace", {"samples": 5}),
    "hessian_trace ×10": ("hessian_trace", {"samples": 10}),
    "gn_trace": ("gn_trace", {}),
    "gn_trace ×5": ("gn_trace", {"samples": 5}),
    "gn_trace_hutchinson": ("gn_trace_hutchinson", {}),
    "gn_trace_hutchinson ×5": ("gn_trace_hutchinson", {"samples": 5}),
    "nme_trace": ("nme_trace", {}),
}


def compile_steps(network: Network) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Method -> (compiled direction, its arguments)."""
    given = problem(network)
    steps = {}
    for name, (entry, options) in STEPS.items():
        step, arguments = direction(given, METHODS[entry].load()(**options))
        steps[name] = (step.lower(*arguments).compile(), arguments)
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}")
    for title in MODELS:
        steps = compile_steps(NETWORKS[title])
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(rounds + 1):  # the first round warms up
            for name, (step, arguments) in steps.items():
                start = time.perf_counter()
                for _ in range(10):
                    result = step(*arguments)
                jax.block_until_ready(result)
                seconds[name].append((time.perf_counter() - start) / 10)
        flops = {name: step.cost_analysis()["flops"] for name, (step, _) in steps.items()}
        print(f"\n{title}: one SGD gradient takes {1e3 * statistics.median(seconds['sgd'][1:]):.2f} ms")
        print(f"{'':24}{'time':>7}{'FLOPs':>7}{'memory':>10}")
        for name, (step, _) in steps.items():
            ratios = [a / b for a, b in zip(seconds[name][1:], seconds["sgd"][1:], strict=True)]
            megabytes = step.memory_analysis().temp_size_in_bytes / 1e6
            print(f"{name:24}{statistics.median(ratios):7.2f}{flops[name] / flops['sgd']:7.2f}{megabytes:7.1f} MB")


if __name__ == "__main__":
    main()
