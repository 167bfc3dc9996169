"""What shortened products do to a method's step: its error beside float64, emulated on a CPU or as a GPU has it.

    python -m benchmarks.rounding [--networks "MLP 3×128" …] [--steps 0 200] [--out results/benchmarks/rounding.csv]
    python -m benchmarks.rounding --device gpu --networks "CNN, 28×28"      # the same on this machine's GPU, in a minute

Writes a line of JSON for each step as soon as it is computed, and the table at the end. A step's program is traced once, as a
training traces it. It is computed

- in float64 on the CPU: every float32 number of the program is kept in float64, with the same random numbers;
- on the CPU with the factors of its products rounded to 10 (TF32) or 7 (bfloat16) bits after the leading one, sums in float32;
- with ``--device gpu`` by the GPU, with what JAX makes of ``matmul_precision`` there;
- on either with a model that computes in bfloat16 (``training.precision``).

``error`` is ‖d − d₆₄‖/‖d₆₄‖ of the direction d. ``correction`` is the same of d − g, what a method adds to the gradient, with g
of the same precision, and ``share`` is ‖d₆₄ − g₆₄‖/‖g₆₄‖. ``noise`` is how far the gradient of such a batch is from its mean
over all examples, relative to its length: half of the distance of two halves' gradients.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from benchmarks import networks
from benchmarks.networks import LARGE, Network, Problem
from nmepkg import activations, losses
from nmepkg.curvature.jaxprs import bind, evaluate
from nmepkg.models.wide_resnet import WideResNet
from nmepkg.registry import METHODS

Row = dict[str, Any]
Vector = np.ndarray[Any, Any]
LOST = {"float32": 0, "tensorfloat32": 13, "bfloat16": 16}  # bits of 23 after the leading one
DOUBLE = {jnp.dtype(jnp.float32): jnp.dtype("float64")}
MODEL = "bfloat16 model"
KEY = jax.random.key(1)
RATE = 0.05  # of the SGD that comes before the step


class Case(NamedTuple):
    """A method with options, and the strengths of its steps."""

    method: str
    options: dict[str, Any]
    strengths: tuple[float, ...]


# A difference of gradients h apart has the error of SAM's correction at ρ = h: both are ∇L(θ + hĝ) − ∇L(θ).
RADII = (0.001, 0.003, 0.01, 0.03, 0.1)
QUICK = (
    Case("sgd", {}, (0.0,)),
    Case("sam", {}, RADII),
    Case("psam", {}, (0.1,)),
    Case("psam_fd", {"step": 0.01}, (0.1,)),
)
CASES = (
    *QUICK,
    Case("asam", {}, RADII),
    Case("functional_sam", {}, RADII),
    *(Case(name, {}, (0.1,)) for name in ("psam_gn", "psam_nme")),
    *(Case(name, {}, (1e-4,)) for name in ("weight_noise", "hessian_trace", "gn_trace")),
)
MORE = {"WRN-16-4": Network(WideResNet(networks.CLASSES, activations.gelu, 16, 4), LARGE, 32)}
NETWORKS = {**networks.NETWORKS, **MORE}


def shortened(x: jax.Array, lost: jax.Array) -> jax.Array:
    """float32 numbers rounded to nearest, ties to even, without their last bits; how many these are may be traced."""
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    half, odd = (jnp.uint32(1) << lost) >> 1, (bits >> lost) & 1
    up = jnp.where(lost > 0, half - 1 + odd, 0)
    return jax.lax.bitcast_convert_type((bits + up) >> lost << lost, jnp.float32)


def with_short_products(lost: jax.Array) -> Callable[..., Any]:
    """Does an operation, a product by factors that have lost so many bits, unless it asks for full precision, as lengths do."""

    def operation(primitive: Any, inputs: Sequence[Any], params: Any) -> Any:
        product = primitive.name in ("dot_general", "conv_general_dilated")
        if product and params["precision"] != (jax.lax.Precision.HIGHEST,) * 2:
            inputs = [shortened(x, lost) for x in inputs]
        return bind(primitive, inputs, params)

    return operation


class Step:
    """A method's direction at parameters and a batch, as a program; every way to compute it gives one array."""

    def __init__(self, problem: Problem, case: Case) -> None:
        method = METHODS[case.method].load()(**case.options)

        def direction(params: Any, batch: Any, strength: Any) -> Any:
            taken = method(problem.apply, losses.cross_entropy, params, batch, KEY, strength).direction
            return ravel_pytree(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), taken))[0]

        self._direction, self._arguments = direction, (problem.params, problem.batch)
        with jax.default_matmul_precision("tensorfloat32"):
            self._program = jax.make_jaxpr(direction)(*self._arguments, jnp.float32(0))

    def exact(self) -> Callable[[float], Vector]:
        """In float64, on the CPU."""
        cpu = jax.devices("cpu")[0]
        with jax.enable_x64(True), jax.default_device(cpu):
            compute = jax.jit(lambda *arguments: evaluate(self._program, arguments, DOUBLE)[0])

        def at(strength: float) -> Vector:
            leaves = jax.tree.leaves((*self._arguments, np.float32(strength)))
            with jax.enable_x64(True), jax.default_device(cpu):
                return np.asarray(compute(*map(np.asarray, leaves)))

        return at

    def emulated(self) -> Callable[[str, float], Vector]:
        """With products as ``precision`` has them on an accelerator."""

        @jax.jit
        def compute(lost: jax.Array, *arguments: Any) -> jax.Array:
            found: jax.Array = evaluate(self._program, arguments, operation=with_short_products(lost))[0]
            return found

        def at(precision: str, strength: float) -> Vector:
            leaves = jax.tree.leaves((*self._arguments, jnp.float32(strength)))
            return np.asarray(compute(jnp.uint32(LOST[precision]), *leaves), float)

        return at

    def here(self) -> Callable[[str, float], Vector]:
        """As this machine's device has it."""
        compute = jax.jit(self._direction)

        def at(precision: str, strength: float) -> Vector:
            with jax.default_matmul_precision(precision):
                return np.asarray(compute(*self._arguments, jnp.float32(strength)), float)

        return at


def learned(network: Network, steps: int) -> Problem:
    """A network after some steps of SGD on batches of Gaussian inputs whose label a linear map says, and one batch more."""
    problem = networks.problem(network)
    teacher = jax.random.normal(jax.random.key(2), (int(np.prod(network.shape)), networks.CLASSES))

    def batch(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        inputs = jax.random.normal(key, (network.batch, *network.shape))
        return inputs, jnp.argmax(inputs.reshape(network.batch, -1) @ teacher, axis=1)

    @jax.jit
    def step(params: Any, key: jax.Array) -> Any:
        inputs, labels = batch(key)
        gradient = jax.grad(lambda p: losses.cross_entropy(problem.apply(p, inputs)[0], labels))(params)
        return jax.tree.map(lambda p, g: p - RATE * g, params, gradient)

    params = problem.params
    with jax.default_device(jax.devices("cpu")[0]), jax.default_matmul_precision("float32"):
        params, teacher = jax.device_get((params, teacher))
        for key in jax.random.split(jax.random.key(3), steps):
            params = step(params, key)
        return problem._replace(params=jax.device_get(params), batch=jax.device_get(batch(jax.random.key(4))))


def in_half(network: Network) -> Network:
    """The same network, which computes in bfloat16."""
    return network._replace(model=network.model.clone(dtype=jnp.bfloat16))


def distance(a: Vector, b: Vector) -> float:
    """‖a − b‖/‖b‖."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def noise(problem: Problem) -> float:
    """How far a batch's gradient is from that of all examples, by its two halves."""
    inputs, labels = problem.batch
    half = len(labels) // 2
    gradients = [
        Step(problem._replace(batch=(inputs[part], labels[part])), CASES[0]).here()("float32", 0.0)
        for part in (slice(half), slice(half, None))
    ]
    return float(np.linalg.norm(gradients[0] - gradients[1]) / np.linalg.norm(gradients[0] + gradients[1]))


def rows(network: Network, problem: Problem, cases: Sequence[Case], gpu: bool) -> Iterator[Row]:
    """The errors of every case, strength and precision."""
    half = problem._replace(apply=networks.problem(in_half(network)).apply)
    gradients: dict[str, Vector] = {}
    for case in cases:
        step = Step(problem, case)
        exact, short, in_bfloat16 = step.exact(), step.here() if gpu else step.emulated(), Step(half, case).here()
        names = [name for name in LOST if not gpu or name != "bfloat16"]  # which is the same there
        for strength in case.strengths:
            true = exact(strength)
            gradient = gradients.setdefault("float64", true)
            found = {name: short(name, strength) for name in names} | {MODEL: in_bfloat16("float32", strength)}
            for name, direction in found.items():
                row = {"method": case.method, **case.options, "strength": strength, "products": name}
                row["error"] = distance(direction, true)
                if case.method != "sgd":
                    row["correction"] = distance(direction - gradients[name], true - gradient)
                    row["share"] = float(np.linalg.norm(true - gradient) / np.linalg.norm(gradient))
                gradients.setdefault(name, direction)
                yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(networks.NETWORKS), choices=NETWORKS)
    parser.add_argument("--steps", nargs="*", type=int, default=[200], help="of SGD before the step that is examined")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="gpu: a few methods, computed by it")
    parser.add_argument("--out", type=Path, help="CSV of all rows, beside the lines of JSON")
    arguments = parser.parse_args()
    gpu = arguments.device == "gpu"
    device = jax.devices(arguments.device)[0].device_kind if gpu else "emulated"
    written: list[Row] = []
    for name in arguments.networks:
        for steps in arguments.steps:
            problem = learned(NETWORKS[name], steps)
            about = {"network": name, "steps": steps, "device": device, "noise": noise(problem)}
            for row in rows(NETWORKS[name], problem, QUICK if gpu else CASES, gpu):
                written.append(
                    {key: float(f"{x:.3g}") if isinstance(x, float) else x for key, x in {**about, **row}.items()}
                )
                print(json.dumps(written[-1], ensure_ascii=False), flush=True)
    if arguments.out:
        import pandas as pd

        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(written).to_csv(arguments.out, index=False)
        print(arguments.out)


if __name__ == "__main__":
    main()
