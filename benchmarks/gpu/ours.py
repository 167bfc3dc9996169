"""Ours: compiled steps, and products with H and G."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import networks
from benchmarks.gpu.cases import CEILING, CURVATURE, TASKS, card
from benchmarks.gpu.rounds import Row, milliseconds
from benchmarks.peers import cases
from nmepkg import activations, curvature, losses
from nmepkg.curvature import probes
from nmepkg.curvature.vectors import dot
from nmepkg.models.mlp import MLP
from nmepkg.models.resnet import ResNet
from nmepkg.models.vit import ViT
from nmepkg.models.wide_resnet import WideResNet
from nmepkg.planning import ahead
from nmepkg.registry import METHODS


def network(name: str, dtype: Any) -> networks.Network:
    """One of :data:`benchmarks.gpu.cases.NETWORKS`, computing in ``dtype``."""
    gelu, relu = activations.gelu, activations.relu
    return {
        "MLP 3×128": lambda: networks.Network(MLP(10, gelu, 128, 3, dtype=dtype), networks.SEQUENCE),
        "WRN-16-4": lambda: networks.Network(WideResNet(10, relu, 16, 4, dtype=dtype), networks.LARGE),
        "WRN-28-10": lambda: networks.Network(WideResNet(10, relu, 28, 10, dtype=dtype), networks.LARGE),
        "ResNet-50": lambda: networks.Network(ResNet(1000, relu, dtype=dtype), cases.NETWORKS["ResNet-50"].shape),
        "ViT 6×384": lambda: networks.Network(ViT(10, gelu, 4, 6, 384, 6, dtype=dtype), networks.LARGE),
    }[name]()


class Ours:
    """Compiled steps of this package.

    Args:
      name: of a network, or :data:`CEILING`.
      precision: one of :data:`benchmarks.gpu.cases.PRECISIONS`.
    """

    def __init__(self, name: str, precision: str) -> None:
        self._dtype = jnp.bfloat16 if precision == "bfloat16" else None
        jax.config.update("jax_default_matmul_precision", precision)
        self._about = {"device": jax.devices()[0].device_kind, "version": f"jax {jax.__version__}"}
        if name != CEILING:
            self._problem = networks.problem(network(name, self._dtype))

    def step(self, task: str, seconds: float) -> Row:
        if task.isdigit():
            return self._product(int(task), seconds)
        if task in CURVATURE:
            return self._about | {"milliseconds": milliseconds(self._curvature(task), jax.block_until_ready, seconds)}
        lowered, arguments = self._lowered(task)
        start = time.perf_counter()
        step = lowered.compile()
        compiling = time.perf_counter() - start
        return self._about | {
            "milliseconds": milliseconds(lambda: step(*arguments), jax.block_until_ready, seconds),
            "gigabytes": step.memory_analysis().temp_size_in_bytes / 1e9,
            "compiling": compiling,
        }

    def count(self, task: str, seconds: float) -> Row:
        return self._about | {"tflop": self._lowered(task)[0].cost_analysis()["flops"] / 1e12}

    def described(self, task: str, seconds: float) -> Row:
        """Memory of a step compiled for this card by a description of it, as ``python -m nmepkg fits`` does."""
        (device,) = ahead.described(str(card()), 1)
        with ahead.on_accelerator():
            step, arguments = networks.direction(self._problem, METHODS[TASKS[task]].load()())
            one = jax.sharding.SingleDeviceSharding(device)
            shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), arguments)
            compiled = step.lower(*shapes).compile()
        return {"version": f"jax {jax.__version__}", "gigabytes": compiled.memory_analysis().temp_size_in_bytes / 1e9}

    def _product(self, side: int, seconds: float) -> Row:
        a = jax.random.normal(jax.random.key(0), (side, side), self._dtype)
        taken = milliseconds(partial(jax.jit(jnp.dot), a, a), jax.block_until_ready, seconds)
        return self._about | {"milliseconds": taken, "tflop": 2 * side**3 / 1e12}

    def _lowered(self, task: str) -> tuple[Any, tuple[Any, ...]]:
        """A step that is traced, and its arguments."""
        step, arguments = networks.direction(self._problem, METHODS[TASKS[task]].load()())
        return step.lower(*arguments), arguments

    def _curvature(self, task: str) -> Callable[[], Any]:
        """As :mod:`benchmarks.peers.ours` has it, linearisation included."""
        apply, params, (inputs, labels) = self._problem

        @partial(jax.jit, static_argnums=2)
        def linearized(params: Any, batch: Any, name: str) -> Any:
            at = curvature.linearize(
                lambda p: apply(p, batch[0])[0], lambda z: losses.cross_entropy(z, batch[1]), params
            )
            return getattr(at, name)

        @jax.jit
        def draw(number: Any) -> Any:
            return probes.draw(jax.random.key(number), params, "rademacher")

        product, inner = partial(linearized, params, (inputs, labels)), jax.jit(dot)
        vectors = [draw(i) for i in range(cases.VECTORS)]

        def trace() -> Any:
            drawn = [draw(i) for i in range(cases.PROBES)]
            along = curvature.map_vectors(product("hvp"), drawn)
            return sum(inner(v, x) for v, x in zip(drawn, along, strict=True)) / cases.PROBES

        return {
            "H v": lambda: list(curvature.map_vectors(product("hvp"), vectors)),
            "G v": lambda: list(curvature.map_vectors(product("gnvp"), vectors)),
            "trace of H": trace,
        }[task]
