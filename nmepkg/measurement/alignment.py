"""Measures how H ĝ, G ĝ and N ĝ, the terms of PSAM's step, compare with the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg.curvature.vectors import normalize
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem


def alignment(problem: Problem) -> Measure:
    """‖g‖, ‖A ĝ‖ and cos(A ĝ, g) for A = H, G, N: each of what a step takes at once, and the mean over all of that.

    With g = ∇L, L the mean loss of ``problem.together`` batches, and ĝ = g/‖g‖, PSAM's direction is g + ρ H ĝ =
    g + ρ G ĝ + ρ N ĝ. Where g or A ĝ is zero, its angle is not defined and the cosine is 0. H ĝ is G ĝ + N ĝ.

    Returns:
      measure(params, context, key) -> ``gradient_norm``, ``norm_A``, ``cosine_A``; and the standard errors of the means,
      ``…_se``, where they are of two numbers or more. ``key`` is not used.
    """

    @jax.jit
    def gradient(params: Params, context: Context, batch: Batch) -> Params:
        return problem.linearize(params, context, batch).gradient

    @jax.jit
    def parts(params: Params, context: Context, unit: Params, batch: Batch) -> tuple[Params, Params]:
        return problem.linearize(params, context, batch).parts(unit)

    @jax.jit
    def compared(unit: Params, g: Params, n: Params) -> dict[str, Array]:
        values = {}
        for part, product in (("H", jax.tree.map(jnp.add, g, n)), ("G", g), ("N", n)):
            along, values[f"norm_{part}"] = normalize(product)
            cosine = sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(along), jax.tree.leaves(unit), strict=True))
            values[f"cosine_{part}"] = jnp.clip(cosine, -1, 1)  # rounding goes beyond by an epsilon
        return values

    direction = jax.jit(normalize)

    def row(params: Params, context: Context, batches: Sequence[Batch]) -> dict[str, Array]:
        unit, length = direction(_mean(partial(gradient, params, context), batches))
        g, n = _mean(partial(parts, params, context, unit), batches)
        return {"gradient_norm": length, **compared(unit, g, n)}

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        batches, together = problem.batches, problem.together
        taken = [batches[start : start + together] for start in range(0, len(batches), together)]
        rows = [jax.device_get(row(params, context, each)) for each in taken]
        result = {}
        for name in rows[0]:
            values = np.asarray([row[name] for row in rows], np.float64)
            result[name] = float(np.mean(values))
            if len(rows) > 1:
                result[f"{name}_se"] = float(np.std(values, ddof=1) / np.sqrt(len(rows)))
        return result

    return measure


def _mean(function: Callable[[Batch], Params], batches: Sequence[Batch]) -> Params:
    """The mean of a pytree over batches."""
    total = reduce(lambda total, tree: jax.tree.map(jnp.add, total, tree), map(function, batches))
    return jax.tree.map(lambda leaf: leaf / len(batches), total)
