"""Measures which units are dead: those whose activation is flat at all that is measured, so that no gradient passes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem

# Of the largest |φ'|: what lies below is flat. A ReLU's φ' is exactly 0 there; a GELU's has no zeros but one, and decays to
# this at x = −5.4.
FLAT = 1e-6
_HALF_GRID = np.geomspace(1e-9, 1e2, 20_000)
_GRID = np.concatenate([-_HALF_GRID[::-1], [0.0], _HALF_GRID])


def dead_units(problem: Problem) -> Measure:
    """The share of units with ``|φ'(x)| ≤ 1e-6 sup|φ'|`` for every measured example, over all calls of φ.

    A unit is an entry of the last axis of what φ is called with: one of a dense layer, a channel of a convolution, or a
    feature of tokens, which is dead if it is flat at all positions of all examples. The supremum is the maximum on a symmetric
    grid that is even in ``log|x|`` from 1e-9 to 100, and 0.

    Returns:
      measure(params, context, key) -> ``fraction_dead``, of units; ``fraction_flat``, of activation inputs x with
      ``|φ'(x)| ≤ 1e-6 sup|φ'|``, over all examples, units and positions; ``count`` of units; and ``layers``: the same of each
      call of φ, in the order of calls. Fractions are NaN where there is no unit, or an input that is not finite. ``key`` is
      not used.
    """

    def slope(context: Context, x: Array) -> Array:
        return jnp.abs(jax.jvp(lambda x: problem.activation(context, x), (x,), (jnp.ones_like(x),))[1])

    @jax.jit
    def bound(context: Context) -> Array:
        return FLAT * jnp.max(slope(context, jnp.asarray(_GRID, problem.batches[0][0].dtype)))

    @jax.jit
    def counts(params: Params, context: Context, batch: Batch, bound: Array) -> list[tuple[Array, Array]]:
        """Of each call of φ, by unit: how many inputs are flat, and how many are no numbers."""
        result = []
        for x in problem.preactivations_fn(params, context, batch[0]):
            others = tuple(range(x.ndim - 1))
            flat = slope(context, x) <= bound
            result.append((jnp.sum(flat, axis=others), jnp.sum(~jnp.isfinite(x), axis=others)))
        return result

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        limit = bound(context)
        rows = [jax.device_get(counts(params, context, batch, limit)) for batch in problem.batches]
        shapes = jax.eval_shape(problem.preactivations_fn, params, context, problem.batches[0][0])
        units = []  # of each call of φ, (3, units): inputs that are flat, that are no numbers, and all
        for i, x in enumerate(shapes):
            flat, bad = np.asarray([row[i] for row in rows], np.int64).sum(axis=0)
            units.append(np.stack([flat, bad, np.full_like(flat, len(rows) * x.size // x.shape[-1])]))
        whole = np.concatenate([np.zeros((3, 0), np.int64), *units], axis=1)
        return {**_fractions(whole), "layers": [_fractions(layer) for layer in units]}

    return measure


def _fractions(units: np.ndarray) -> dict[str, Any]:
    """Of (3, units): how many inputs of each are flat, are no numbers, and are there."""
    flat, bad, inputs = units
    defined = inputs.sum() > 0 and bad.sum() == 0
    return {
        "fraction_dead": float(np.mean(flat == inputs)) if defined else float("nan"),
        "fraction_flat": float(flat.sum() / inputs.sum()) if defined else float("nan"),
        "count": len(flat),
    }
