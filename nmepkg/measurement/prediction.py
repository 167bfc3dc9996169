"""Measures whether H ĝ by autodiff, or G ĝ, foresees what the gradient does a distance ahead."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nmepkg.curvature.vectors import dot, norm, normalize
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.measurement.steps import mean, mean_over_steps


def prediction(problem: Problem, *, radii: Sequence[float]) -> Measure:
    """How near H ĝ and G ĝ are to D(ρ) = (∇L(θ + ρ ĝ) − ∇L(θ))/ρ, which is what SAM's step has in their place.

    With g = ∇L(θ), ĝ = g/‖g‖ and L as of :func:`nmepkg.measurement.alignment.alignment`, for A = H, G:

    - ``gap_A`` = ‖D − A ĝ‖/‖D‖: 0 where A ĝ foresees D, 1 where it says nothing of it. With a smooth model that of H falls
      with ρ, as ρ; with ReLU H ĝ lacks every bend between θ and θ + ρ ĝ, at any ρ that has some.
    - ``agreement_A`` = cos(A ĝ, D), and ``ratio_A`` = ‖A ĝ‖/‖D‖.
    - ``fraction_crossed``: the share of activation inputs, over units and examples, whose sign is another at θ + ρ ĝ.

    H is taken with the φ'' that the measurement is of, 0 or a synthetic one say; D needs none, and is the same with all.
    Where g is 0 there is no direction, and all of them are 0. The difference of two gradients loses digits: in single
    precision the error of D is about 1e-7 ‖g‖/ρ.

    Args:
      problem: what is measured.
      radii: ρ > 0.

    Returns:
      measure(params, context, key) -> each of these as a list, a number a radius: the mean over what a step takes at once; and
      their standard errors, ``…_se``, where they are of two numbers or more. ``key`` is not used.

    Source: the paper, section 4, has PSAM fail where autodiff's H misses a part of the Hessian; this is how much it misses.
    """

    @jax.jit
    def gradient(params: Params, context: Context, batch: Batch) -> Params:
        return problem.linearize(params, context, batch).gradient

    @jax.jit
    def parts(params: Params, context: Context, unit: Params, batch: Batch) -> tuple[Params, Params]:
        return problem.linearize(params, context, batch).parts(unit)

    @jax.jit
    def crossed(params: Params, ahead: Params, context: Context, batch: Batch) -> Array:
        before, after = (problem.preactivations_fn(p, context, batch[0]) for p in (params, ahead))
        changed = [jnp.sum((x > 0) != (y > 0)) for x, y in zip(before, after, strict=True)]
        return jnp.sum(jnp.asarray(changed)) / max(sum(x.size for x in before), 1)

    @jax.jit
    def compared(radius: float, here: Params, ahead: Params, products: dict[str, Params]) -> dict[str, Array]:
        difference = jax.tree.map(lambda x, y: (y - x) / radius, here, ahead)
        along, length = normalize(difference)
        values = {}
        for part, product in products.items():
            unit, size = normalize(product)
            values[f"gap_{part}"] = _ratio(norm(jax.tree.map(jnp.subtract, difference, product)), length)
            values[f"agreement_{part}"] = jnp.clip(dot(unit, along), -1, 1)  # rounding goes beyond by an epsilon
            values[f"ratio_{part}"] = _ratio(size, length)
        return values

    direction = jax.jit(normalize)
    moved = jax.jit(lambda params, radius, unit: jax.tree.map(lambda p, u: p + radius * u, params, unit))

    def row(params: Params, context: Context, batches: Sequence[Batch]) -> dict[str, Array]:
        here = mean(partial(gradient, params, context), batches)
        unit, _ = direction(here)
        g, n = mean(partial(parts, params, context, unit), batches)
        products = {"H": jax.tree.map(jnp.add, g, n), "G": g}
        found = []
        for radius in radii:
            there = moved(params, radius, unit)
            ahead = mean(partial(gradient, there, context), batches)
            share = mean(partial(crossed, params, there, context), batches)
            found.append({**compared(radius, here, ahead, products), "fraction_crossed": share})
        return {name: jnp.stack([values[name] for values in found]) for name in found[0]}

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        return mean_over_steps(problem, partial(row, params, context))

    return measure


def _ratio(size: Array, length: Array) -> Array:
    """size/length, and 0 of two zeros."""
    return jnp.where((size == 0) & (length == 0), 0, size / length)
