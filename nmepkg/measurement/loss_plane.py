"""Measures loss and accuracy over a plane through the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg.curvature.vectors import dot
from nmepkg.measurement.directions import directions as make_directions
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.measurement.whole import unit


def loss_plane(
    problem: Problem, *, directions: str, range: float, points: int, steps: int, tolerance: float
) -> Measure:
    """L(θ + a u + b v), L the mean loss over ``problem.batches``, for a and b on one grid (Li et al. 2018), and the accuracy.

    Args:
      problem: what is measured.
      directions: u and v, of :func:`nmepkg.measurement.directions.directions`. They are taken as they are: u and v that are
        not orthogonal, ĝ and an eigenvector, are at right angles in no picture of the plane.
      range: a and b go from −range to range.
      points: of either; an odd number has θ among them.
      steps, tolerance: of Lanczos' method for eigenvectors.

    Returns:
      measure(params, context, key) -> ``loss_plane`` and ``accuracy_plane``, a list for each b with a number for each a, no
      number where the loss is none; ``coordinates``, the values of a and of b; ``loss`` and ``accuracy`` at θ; ``cosine`` of
      u and v; and of eigenvectors ``eigenvalue_u``, ``bound_u`` and the same of v. ``key`` draws random directions.
    """

    @jax.jit
    def at(params: Params, context: Context, batch: Batch, u: Params, v: Params, a: float, b: float) -> Array:
        inputs, labels = batch
        moved = jax.tree.map(lambda p, x, y: p + a * x + b * y, params, u, v)
        logits = problem.logits_fn(moved, context, inputs)
        loss = problem.loss_fn(logits, labels)
        accuracy = jnp.mean(jnp.argmax(logits, axis=1) == labels, dtype=loss.dtype)
        return jnp.stack([loss, jnp.where(jnp.isfinite(loss), accuracy, jnp.nan)])

    @jax.jit
    def cosine(u: Params, v: Params) -> Array:
        return dot(unit(u), unit(v))

    find = make_directions(problem, directions, steps, tolerance)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        (u, v), account = find(params, context, key)

        def means(places: Sequence[tuple[float, float]]) -> np.ndarray:
            each = [[at(params, context, batch, u, v, a, b) for batch in problem.batches] for a, b in places]
            return np.asarray(jax.device_get(each), np.float64).mean(axis=1)

        grid = np.linspace(-range, range, points).tolist()
        plane = np.array([means([(a, b) for a in grid]) for b in grid])
        ((loss, accuracy),) = means([(0.0, 0.0)]).tolist()
        return {
            "loss_plane": plane[..., 0].tolist(),
            "accuracy_plane": plane[..., 1].tolist(),
            "coordinates": grid,
            "loss": loss,
            "accuracy": accuracy,
            "cosine": float(cosine(u, v)),
            **account,
        }

    return measure
