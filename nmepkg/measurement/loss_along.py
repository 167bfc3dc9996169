"""Measures the loss along straight lines through the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.vectors import dot
from nmepkg.measurement.leading import leading
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.measurement.whole import products, start, terms, unit


def loss_along(problem: Problem, *, radii: Sequence[float], steps: int, tolerance: float) -> Measure:
    """L(θ + ρ d) − L(θ), L the mean loss over ``problem.batches``, along unit vectors d.

    Those are ĝ = g/‖g‖, g = ∇L; H ĝ and N ĝ, made unit vectors, with H ĝ = G ĝ + N ĝ; and the eigenvectors of the largest
    eigenvalues of H and of G, each with the sign by which the loss does not fall at first, ⟨d, g⟩ ≥ 0. Where there is no
    direction, as of N ĝ of a linear model, the loss stays what it is.

    Args:
      problem: what is measured.
      radii: ρ, of either sign, or 0.
      steps, tolerance: of Lanczos' method for the eigenvectors, as of :func:`nmepkg.measurement.leading.leading`.

    Returns:
      measure(params, context, key) -> lists with a number for each radius, ``loss_along_D`` for D = ``g``, ``H``, ``N``,
      ``top_H``, ``top_G``; ``loss`` = L(θ); and for A = H, G ``eigenvalue_A`` and ``bound_A``, the residual bound. ``key``
      draws the vector that Lanczos' method starts from.
    """

    @jax.jit
    def loss_at(params: Params, context: Context, batch: Batch, direction: Params, radius: float) -> Array:
        inputs, labels = batch
        moved = jax.tree.map(lambda p, d: p + radius * d, params, direction)
        return problem.loss_fn(problem.logits_fn(moved, context, inputs), labels)

    @jax.jit
    def oriented(params: Params, vector: Array, g: Params) -> Params:
        """A flat vector as a pytree, with the sign that g has along it."""
        flat, unravel = ravel_pytree(params)
        tree = unravel(vector.astype(flat.dtype))
        return jax.tree.map(lambda x: jnp.where(dot(tree, g) < 0, -x, x), tree)

    along_gradient, product = terms(problem), products(problem)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        along = along_gradient(params, context)
        g = along["g"]
        directions = {"g": g, "H": unit(along["H"]), "N": unit(along["N"])}
        result: dict[str, Any] = {}
        for part in ("H", "G"):
            found = leading(product(part, params, context), start(params, key), steps, tolerance)
            directions[f"top_{part}"] = oriented(params, found.vector, g)
            result |= {f"eigenvalue_{part}": found.value, f"bound_{part}": found.bound}

        def losses(direction: Params, radius: float) -> list[Array]:
            return [loss_at(params, context, batch, direction, radius) for batch in problem.batches]

        here = np.asarray(jax.device_get(losses(g, 0.0)), np.float64)
        for name, direction in directions.items():
            there = jax.device_get([losses(direction, radius) for radius in radii])
            # Batch by batch, in double precision: what is subtracted is as exact as the losses are.
            result[f"loss_along_{name}"] = (np.asarray(there, np.float64) - here).mean(axis=1).tolist()
        return {**result, "loss": float(here.mean())}

    return measure
