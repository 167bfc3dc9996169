"""matfree's estimators on products of H by forward over reverse mode, compiled, as its documentation has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from matfree import decomp, stochtrace

from benchmarks.peers.operators import tasks
from benchmarks.peers.operators.ours import Ours


class WithMatfree(Ours):
    """The same network as ours, in a process of its own."""

    def _program(self, task: str) -> Callable[[int], Any]:
        if task not in self._programs:

            def matvec(v: Array, flat: Array, batch: Any) -> Array:
                def loss(flat: Array) -> Array:
                    return self._loss(self._logits(self._unravel(flat), batch), batch)

                return jax.jvp(jax.grad(loss), (flat,), (v,))[1]

            estimate = _TASKS[task](self._flat)
            compiled = jax.jit(lambda key, flat, batch: estimate(matvec, key, flat, batch))
            self._programs[task] = lambda draw: jax.block_until_ready(
                compiled(jax.random.key(draw), self._flat, self._batch)
            )
        return self._programs[task]


def _density(flat: Array) -> Callable[..., Any]:
    tridiagonal = decomp.tridiag_sym(tasks.STEPS)
    sampler = stochtrace.sampler_signs(flat, num=tasks.STARTS)

    def estimate(matvec: Any, key: Array, *parameters: Any) -> tuple[Array, Array]:
        def quadrature(start: Array) -> tuple[Array, Array]:
            _, matrix, *_ = tridiagonal(matvec, start / jnp.linalg.norm(start), *parameters)
            values, vectors = jnp.linalg.eigh(matrix)
            return values, vectors[0] ** 2

        values, weights = jax.lax.map(quadrature, sampler(key))
        return values.ravel(), weights.ravel()

    return estimate


def _hutchinson(flat: Array) -> Callable[..., Any]:
    sampler = stochtrace.sampler_signs(flat, num=tasks.PRODUCTS)
    return stochtrace.estimator_monte_carlo(stochtrace.monte_carlo_trace(), sampler)


def _xtrace(flat: Array) -> Callable[..., Any]:
    sampler = stochtrace.sampler_normal(flat, num=tasks.PRODUCTS // 2)
    return stochtrace.estimator_leave_one_out(stochtrace.leave_one_out_xtrace(), sampler)


def _xdiag(flat: Array) -> Callable[..., Any]:
    sampler = stochtrace.sampler_signs(flat, num=tasks.PRODUCTS // 2)
    return stochtrace.estimator_leave_one_out(stochtrace.leave_one_out_xdiag(), sampler)


_TASKS: dict[str, Callable[[Array], Callable[..., Any]]] = {
    tasks.DENSITY: _density,
    tasks.HUTCHINSON: _hutchinson,
    tasks.XTRACE: _xtrace,
    tasks.DIAGONAL: _xdiag,
}
