"""Measures how H ĝ, G ĝ and N ĝ, the terms of PSAM's step, compare with the gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.methods.base import normalize


def alignment(problem: Problem) -> Measure:
    """‖g‖, ‖A ĝ‖ and cos(A ĝ, g) for A = H, G, N: each on one batch, as a method sees it, and the mean over batches.

    With g = ∇L of the batch and ĝ = g/‖g‖, PSAM's direction is g + ρ H ĝ = g + ρ G ĝ + ρ N ĝ. Where g or A ĝ is zero, its
    angle is not defined and the cosine is 0. H ĝ is G ĝ + N ĝ.

    Returns:
      measure(params, context, key) -> ``gradient_norm``, ``norm_A``, ``cosine_A``; and the standard errors of the means,
      ``…_se``, where there are two batches or more. ``key`` is not used.
    """

    @jax.jit
    def of_batch(params: Params, context: Context, batch: Batch) -> dict[str, Array]:
        products = problem.linearize(params, context, batch)
        unit, length = normalize(products.gradient)
        g, n = products.parts(unit)
        values = {"gradient_norm": length}
        for part, product in (("H", jax.tree.map(jnp.add, g, n)), ("G", g), ("N", n)):
            along, values[f"norm_{part}"] = normalize(product)
            cosine = sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(along), jax.tree.leaves(unit), strict=True))
            values[f"cosine_{part}"] = jnp.clip(cosine, -1, 1)  # rounding goes beyond by an epsilon
        return values

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        rows = [jax.device_get(of_batch(params, context, batch)) for batch in problem.batches]
        result = {}
        for name in rows[0]:
            values = np.asarray([row[name] for row in rows], np.float64)
            result[name] = float(np.mean(values))
            if len(rows) > 1:
                result[f"{name}_se"] = float(np.std(values, ddof=1) / np.sqrt(len(rows)))
        return result

    return measure
