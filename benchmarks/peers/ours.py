"""Ours: compiled steps of training, and curvature by the functions that the library exports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from benchmarks.peers import cases
from benchmarks.peers.turns import seconds
from nmepkg import activations, curvature, losses, methods
from nmepkg.curvature import probes
from nmepkg.curvature.vectors import dot
from nmepkg.models.mlp import MLP
from nmepkg.models.resnet import ResNet
from nmepkg.models.wide_resnet import WideResNet

METHODS = {
    "SGD": methods.sgd(),
    "SAM": methods.sam(),
    "PSAM": methods.psam(),
    "Hessian trace": methods.hessian_trace(),
    "GN trace": methods.gn_trace(),
}


class CNN(nn.Module):
    """Three convolutions, each halved by averages, and two dense layers."""

    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for channels in (32, 64, 64):
            x = self.activation(nn.Conv(channels, (3, 3), use_bias=False)(x))
            x = nn.avg_pool(x, (2, 2), (2, 2))
        x = self.activation(nn.Dense(128)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


MODELS: dict[str, nn.Module] = {
    "CNN, GELU": CNN(activations.gelu),
    "CNN, ReLU": CNN(activations.relu),
    "MLP 3×128": MLP(10, activations.gelu, 128, 3),
    "WRN-16-1": WideResNet(10, activations.relu, 16, 1),
    "ResNet-50": ResNet(1000, activations.relu),
    cases.SMALL: MLP(4, activations.gelu, 16, 2),
}


class Ours:
    """One network at a time, with the parameters, the batch and the vectors that it is given."""

    def use(self, network: str, variables: Any, inputs: np.ndarray, labels: np.ndarray, vectors: np.ndarray) -> int:
        """Makes it the network of what follows. The number of its parameters.

        Raises:
          ValueError: the parameters are not those of our network of this name.
        """
        jax.clear_caches()
        self._model = MODELS[network]
        self._params, self._averages = variables["params"], variables["batch_stats"]
        expected = jax.eval_shape(partial(self._model.init, train=False), jax.random.key(0), inputs)["params"]
        if jax.tree.map(jnp.shape, self._params) != jax.tree.map(jnp.shape, expected):
            raise ValueError(f"the two networks called {network} have other parameters than one another")
        self._params, self._averages = jax.device_put((self._params, self._averages))
        self._batch = jax.device_put((inputs, labels))
        self._vectors = [jax.device_put(_like(v, self._params)) for v in vectors]
        self._programs: dict[str, Callable[[int], Any]] = {}
        return sum(leaf.size for leaf in jax.tree.leaves(self._params))

    def seconds(self, task: str, repetitions: int) -> float:
        """Of one repetition."""
        return seconds(partial(self._program(task), 0), repetitions)

    def value(self, task: str, draw: int) -> Any:
        """What a task of curvature gives, as numbers of the host; where it is random, another for every ``draw``."""
        found = self._program(task)(draw)
        if task in ("H v", "G v"):
            return np.stack([np.asarray(ravel_pytree(v)[0]) for v in found])
        return jax.device_get(found)

    def _program(self, task: str) -> Callable[[int], Any]:
        """draw -> what the task gives."""
        if task not in self._programs:
            self._programs[task] = self._training(task) if task in METHODS else self._curvature(task)
        return self._programs[task]

    def _apply(self, params: Any, averages: Any, x: Array) -> tuple[Array, Any]:
        variables = {"params": params, "batch_stats": averages}
        logits, updates = self._model.apply(variables, x, train=True, mutable=["batch_stats"])
        return logits, updates.get("batch_stats", {})

    def _training(self, task: str) -> Callable[[int], Any]:
        """A step: the method's direction, and plain descent along it."""
        method, strength = METHODS[task], cases.STRENGTHS[task]

        @partial(jax.jit, donate_argnums=0)
        def step(state: Any, batch: Any) -> Any:
            params, averages, key = state
            key, now = jax.random.split(key)
            update = method(
                lambda p, x: self._apply(p, averages, x), losses.cross_entropy, params, batch, now, strength
            )
            params = jax.tree.map(lambda p, d: p - cases.RATE * d, params, update.direction)
            return params, update.state, key

        state = jax.tree.map(jnp.copy, (self._params, self._averages, jax.random.key(0)))

        def program(draw: int) -> None:
            nonlocal state
            state = jax.block_until_ready(step(state, self._batch))

        return program

    def _curvature(self, task: str) -> Callable[[int], Any]:
        """Linearisation included, as what others compute once at a point is."""

        @partial(jax.jit, static_argnums=2)
        def linearized(params: Any, batch: Any, name: str) -> Any:
            inputs, labels = batch
            at = curvature.linearize(
                lambda p: self._apply(p, self._averages, inputs)[0], lambda z: losses.cross_entropy(z, labels), params
            )
            return getattr(at, name)

        product = partial(linearized, self._params, self._batch)
        probe = jax.jit(lambda key: probes.draw(key, self._params, "rademacher"))
        inner = jax.jit(dot)

        def products(draw: int, name: str) -> list[Any]:
            return jax.block_until_ready(list(curvature.map_vectors(product(name), self._vectors)))

        def trace(draw: int) -> float:
            drawn = [probe(key) for key in jax.random.split(jax.random.key(draw), cases.PROBES)]
            along = curvature.map_vectors(product("hvp"), drawn)
            return float(np.mean(jax.device_get([inner(v, x) for v, x in zip(drawn, along, strict=True)])))

        def quadrature(draw: int) -> Any:
            hessian, start = product("hvp"), probe(jax.random.key(draw))
            run = curvature.lanczos(lambda v: next(curvature.map_vectors(hessian, [v])), start, cases.STEPS)
            found = curvature.ritz(run)
            return found.values, found.weights

        return {
            "H v": partial(products, name="hvp"),
            "G v": partial(products, name="gnvp"),
            "trace of H": trace,
            "top eigenvalue": lambda draw: quadrature(draw)[0][-1],
            "density": quadrature,
        }[task]


def _like(v: np.ndarray, params: Any) -> Any:
    """A flat vector as a pytree."""
    return ravel_pytree(params)[1](v)
