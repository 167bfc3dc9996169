"""Measures how H ĝ, G ĝ and N ĝ, the terms of PSAM's step, compare with the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nmepkg import curvature
from nmepkg.curvature.vectors import dot, normalize
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.measurement.steps import mean, mean_over_steps


def alignment(problem: Problem) -> Measure:
    """‖g‖, ‖A ĝ‖ and cos(A ĝ, g), A = H, G, N and its parts: each of what a step takes at once, and the mean over all of that.

    With g = ∇L, L the mean loss of ``problem.together`` batches, and ĝ = g/‖g‖, PSAM's direction is g + ρ H ĝ =
    g + ρ G ĝ + ρ N ĝ. N is what comes through the activations' φ'' (``N_activation``) and the rest (``N_rest``), as of
    :func:`nmepkg.curvature.split_nmevp`. H ĝ is G ĝ + N ĝ. Where g or A ĝ is zero, there is no angle and the cosine is 0.

    Returns:
      measure(params, context, key) -> ``gradient_norm``, ``norm_A``, ``cosine_A``; and the standard errors of the means,
      ``…_se``, where they are of two numbers or more. ``key`` is not used.
    """

    @jax.jit
    def gradient(params: Params, context: Context, batch: Batch) -> Params:
        return problem.linearize(params, context, batch).gradient

    @jax.jit
    def parts(params: Params, context: Context, unit: Params, batch: Batch) -> tuple[Params, Params, Params]:
        inputs, labels = batch
        g, n = problem.linearize(params, context, batch).parts(unit)
        rest = curvature.nmevp(
            lambda p: problem.ablated_logits_fn(p, context, inputs), lambda z: problem.loss_fn(z, labels), params, unit
        )
        return g, n, rest

    @jax.jit
    def compared(unit: Params, g: Params, n: Params, rest: Params) -> dict[str, Array]:
        values = {}
        products = {
            "H": jax.tree.map(jnp.add, g, n),
            "G": g,
            "N": n,
            "N_activation": jax.tree.map(jnp.subtract, n, rest),
            "N_rest": rest,
        }
        for part, product in products.items():
            along, values[f"norm_{part}"] = normalize(product)
            values[f"cosine_{part}"] = jnp.clip(dot(along, unit), -1, 1)  # rounding goes beyond by an epsilon
        return values

    direction = jax.jit(normalize)

    def row(params: Params, context: Context, batches: Sequence[Batch]) -> dict[str, Array]:
        unit, length = direction(mean(partial(gradient, params, context), batches))
        return {"gradient_norm": length, **compared(unit, *mean(partial(parts, params, context, unit), batches))}

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        return mean_over_steps(problem, partial(row, params, context))

    return measure
