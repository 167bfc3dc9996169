"""What H v, G v, N v and (G v, N v) cost a vector, for 8 vectors from one linearisation, in units of one SGD gradient.

    python -m benchmarks.products [--rounds 15]

Models, batch and precision are those of `step_cost.py`. A row is a way to map over vectors, and the megabytes are what its
compiled program needs besides its arguments and results. Linearising counts. Times of one round are taken back to back, so
that a busy machine slows them all alike; medians of rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from benchmarks.networks import NETWORKS, Network, problem
from benchmarks.step_cost import MODELS
from nmepkg import curvature, losses

VECTORS = 8
PRODUCTS = {"H": "hvp", "G": "gnvp", "N": "nmevp", "G and N": "parts"}


def ways(network: Network) -> tuple[Callable[[], Any], dict[tuple[str, str], Any], dict[Any, float]]:
    """The gradient (VECTORS times), (product, way) -> the products with all vectors, and the megabytes of each."""
    given = problem(network)
    params = given.params
    vectors = [
        jax.tree.map(lambda x, i=i: jax.random.normal(jax.random.key(i), x.shape), params) for i in range(VECTORS)
    ]
    stacked = jax.tree.map(lambda *x: jax.numpy.stack(x), *vectors)

    def logits_fn(params: Any, inputs: jax.Array) -> jax.Array:
        return given.apply(params, inputs)[0]

    def linear_map(name: str, params: Any, inputs: jax.Array, labels: jax.Array) -> Any:
        products = curvature.linearize(
            lambda p: logits_fn(p, inputs), lambda z: losses.cross_entropy(z, labels), params
        )
        return getattr(products, name)

    data = (params, *given.batch)
    gradient = jax.jit(jax.grad(lambda p, x, y: losses.cross_entropy(logits_fn(p, x), y)))
    programs: dict[tuple[str, str], Any] = {}
    megabytes: dict[tuple[str, str], float] = {}
    for title, name in PRODUCTS.items():
        at = jax.jit(partial(linear_map, name))
        programs[title, "map_vectors"] = lambda at=at: list(curvature.map_vectors(at(*data), vectors))
        apply = jax.jit(lambda linear_map, v: linear_map(v))
        megabytes[title, "map_vectors"] = _megabytes(at, *data) + _megabytes(apply, at(*data), vectors[0])
        megabytes[title, "map_vectors"] += sum(x.nbytes for x in jax.tree.leaves(at(*data))) / 1e6
        for way, mapped in {
            "lax.map": lambda *args, name=name: jax.lax.map(linear_map(name, *args[:3]), args[3]),
            "vmap": lambda *args, name=name: jax.vmap(linear_map(name, *args[:3]))(args[3]),
        }.items():
            compiled = jax.jit(mapped)
            programs[title, way] = partial(compiled, *data, stacked)
            megabytes[title, way] = _megabytes(compiled, *data, stacked)
    return lambda: [gradient(*data) for _ in range(VECTORS)], programs, megabytes


def _megabytes(function: Any, *arguments: Any) -> float:
    return function.lower(*arguments).compile().memory_analysis().temp_size_in_bytes / 1e6


def seconds(program: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(program())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}")
    for title in MODELS:
        gradient, programs, megabytes = ways(NETWORKS[title])
        unit, ratios = [], {name: [] for name in programs}
        for _ in range(rounds + 1):  # the first round warms up
            unit.append(seconds(gradient))
            for name, program in programs.items():
                ratios[name].append(seconds(program) / unit[-1])
        print(f"\n{title}: one SGD gradient takes {1e3 * statistics.median(unit[1:]) / VECTORS:.2f} ms")
        print(f"{'':22}{'time':>7}{'MB':>7}")
        for name, values in ratios.items():
            print(f"{name[0]:9}{name[1]:13}{statistics.median(values[1:]):7.2f}{megabytes[name]:7.1f}")


if __name__ == "__main__":
    main()
