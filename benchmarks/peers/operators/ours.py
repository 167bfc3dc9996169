"""Ours, by the functions that ``nmepkg.curvature`` exports, and by the measurement of planes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from benchmarks.peers import ours as of_products
from benchmarks.peers.memory import peak
from benchmarks.peers.operators import tasks
from benchmarks.peers.turns import seconds
from nmepkg import activations, curvature, losses
from nmepkg.measurement.directions import directions
from nmepkg.measurement.loss_plane import loss_plane
from nmepkg.measurement.problem import Problem


class Ours(of_products.Ours):
    """One network at a time, with one batch and a data set of several."""

    def use(self, network: str, variables: Any, inputs: Any, labels: Any, vectors: Any, data: Any) -> int:
        size = super().use(network, variables, inputs, labels, vectors)
        self._data = [jax.device_put(batch) for batch in data]
        self._logits = lambda params, batch: self._apply(params, self._averages, batch[0])[0]
        self._loss = lambda logits, batch: losses.cross_entropy(logits, batch[1])
        self._flat, self._unravel = ravel_pytree(self._params)
        return size

    def value(self, task: str, draw: int) -> Any:
        """What a task gives, as numbers of the host."""
        return jax.device_get(self._program(task)(draw))

    def seconds(self, task: str, repetitions: int) -> float:
        """Of the processor's time, of one repetition."""
        return seconds(partial(self._program(task), 0), repetitions, time.process_time)

    def memory(self, task: str) -> float:
        """Bytes of one repetition."""
        return peak(partial(self._program(task), 0))

    def _program(self, task: str) -> Callable[[int], Any]:
        if task not in self._programs:
            make = self._plane() if task == tasks.PLANE else getattr(self, _NAMES[task])
            self._programs[task] = lambda draw: jax.block_until_ready(make(draw))
        return self._programs[task]

    def _hessian(self, whole: bool = False) -> curvature.Operator:
        data = self._data if whole else self._batch
        return curvature.operator("H", self._logits, self._loss, self._params, data)

    def _eigenpairs(self, draw: int) -> tuple[np.ndarray, Array]:
        A = self._hessian()
        found = curvature.eigenpairs(A, top=tasks.PAIRS, key=jax.random.key(draw), tolerance=tasks.TOLERANCE)
        return found.values, jnp.stack([A.ravel(v) for v in found.vectors])

    def _density(self, draw: int) -> tuple[np.ndarray, np.ndarray]:
        key = jax.random.key(draw)
        found = curvature.density(self._hessian(), steps=tasks.STEPS, samples=tasks.STARTS, key=key)
        return np.concatenate(found.values), np.concatenate(found.weights)

    def _hutchinson(self, draw: int) -> float:
        key = jax.random.key(draw)
        return curvature.trace(self._hessian(), precision=0, max_samples=tasks.PRODUCTS, key=key).value

    def _hutchpp(self, draw: int) -> float:
        return curvature.hutchpp(self._hessian(), products=tasks.PRODUCTS, key=jax.random.key(draw)).value

    def _xtrace(self, draw: int) -> float:
        return curvature.xtrace(self._hessian(), products=tasks.PRODUCTS, key=jax.random.key(draw)).value

    def _xdiag(self, draw: int) -> Array:
        A = self._hessian()
        return A.ravel(curvature.xdiag(A, products=tasks.PRODUCTS, key=jax.random.key(draw)).value)

    def _product(self, draw: int) -> Array:
        A = self._hessian(whole=True)
        return A.ravel(A @ self._vectors[0])[None]

    def _together(self, draw: int) -> Array:
        A = self._hessian(whole=True)
        return jnp.stack([A.ravel(product) for product in A.products(self._vectors)])

    def _plane(self) -> Callable[[int], Any]:
        """draw -> u, v and the losses over their plane."""

        def logits(params: Any, context: Any, x: Array) -> Array:
            return self._apply(params, self._averages, x)[0]

        problem = Problem(
            logits,
            logits,
            lambda *_: [],
            lambda context, x: activations.gelu(x),
            losses.cross_entropy,
            tuple(self._data),
        )
        options = {"directions": "filter_normalized", "steps": 2, "tolerance": 1.0}
        measure = loss_plane(problem, range=1.0, points=tasks.POINTS, **options)
        find = directions(problem, *options.values())

        def program(draw: int) -> Any:
            key = jax.random.key(draw)
            u, v = (ravel_pytree(each)[0] for each in find(self._params, {}, key)[0])
            return u, v, np.array(measure(self._params, {}, key)["loss_plane"])

        return program


_NAMES = {
    tasks.EIGENPAIRS: "_eigenpairs",
    tasks.DENSITY: "_density",
    tasks.HUTCHINSON: "_hutchinson",
    tasks.HUTCHPP: "_hutchpp",
    tasks.XTRACE: "_xtrace",
    tasks.DIAGONAL: "_xdiag",
    tasks.PRODUCT: "_product",
    tasks.TOGETHER: "_together",
}
