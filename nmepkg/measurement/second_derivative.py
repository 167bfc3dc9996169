"""Measures where activation inputs lie: how many see a second derivative φ'' that is not negligible."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem

# φ'' of a β-GELU lives within 1/β of 0, so points are even in log|x|: 1.0013 apart, and 0 itself.
_HALF_GRID = np.geomspace(1e-9, 1e2, 20_000)
_GRID = np.concatenate([-_HALF_GRID[::-1], [0.0], _HALF_GRID])


def second_derivative(problem: Problem, *, threshold: float, relative: bool) -> Measure:
    """The fraction of activation inputs x with ``|φ''(x)| > t``, over all examples, units and positions (paper, figure 9).

    φ'' is what automatic differentiation says, so 0 for ReLU, and the substitute where the study's entry replaces it, also of
    a run that was trained without.

    Args:
      problem: what is measured.
      threshold: t itself, or ``t / sup|φ''|`` if ``relative``. The supremum is the maximum on a symmetric grid that is even
        in ``log|x|`` from 1e-9 to 100, and 0. Nothing exceeds t where φ'' vanishes on all of it.
      relative: see ``threshold``.

    Returns:
      measure(params, context, key) -> ``fraction_above``; ``fraction_zero``, of x where φ''(x) is exactly 0 in
      float32; ``sup``, the supremum; ``count``; and ``layers``: the fractions and count of each call of φ, in the order of
      calls. Fractions are NaN where there is no input, or one that is not finite. ``key`` is not used.
    """

    def curvature_of(context: Context, x: Array) -> Array:
        one = jnp.ones_like(x)

        def slope(x: Array) -> Array:
            return jax.jvp(lambda x: problem.activation(context, x), (x,), (one,))[1]

        return jnp.abs(jax.jvp(slope, (x,), (one,))[1])

    @jax.jit
    def supremum(context: Context) -> Array:
        return jnp.max(curvature_of(context, jnp.asarray(_GRID, problem.batches[0][0].dtype)))

    @jax.jit
    def counts(params: Params, context: Context, batch: Batch, bound: Array) -> list[tuple[Array, Array, Array]]:
        result = []
        for x in problem.preactivations_fn(params, context, batch[0]):
            second = curvature_of(context, x)
            bad = jnp.sum(~jnp.isfinite(x) | jnp.isnan(second))
            result.append((jnp.sum(second > bound), jnp.sum(second == 0), bad))
        return result

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        sup = supremum(context)
        bound = threshold * sup if relative else jnp.asarray(threshold, sup.dtype)
        total: Any = 0
        for batch in problem.batches:
            total = total + np.asarray(jax.device_get(counts(params, context, batch, bound)), np.int64).reshape(-1, 3)
        sizes = _sizes(problem, params, context)
        return {
            **_fractions(total.sum(axis=0), sum(sizes)),
            "sup": float(sup),
            "layers": [_fractions(row, size) for row, size in zip(total, sizes, strict=True)],
        }

    return measure


def _sizes(problem: Problem, params: Params, context: Context) -> list[int]:
    """The number of inputs of each call of φ, over all batches."""
    shapes = jax.eval_shape(problem.preactivations_fn, params, context, problem.batches[0][0])
    return [x.size * len(problem.batches) for x in shapes]


def _fractions(counts: np.ndarray, count: int) -> dict[str, Any]:
    above, zero, bad = counts.tolist()
    defined = count > 0 and bad == 0
    return {
        "fraction_above": above / count if defined else float("nan"),
        "fraction_zero": zero / count if defined else float("nan"),
        "count": count,
    }
