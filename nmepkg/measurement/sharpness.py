"""Measures how much the loss rises in a ball around the parameters: at worst, and on average."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature import probes
from nmepkg.curvature.vectors import normalize
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.measurement.steps import mean_over_steps, means


class _Climb(NamedTuple):
    """The best place so far, θ + ρ c∘u, the loss there and c∘∇L; and how long steps of u are now."""

    u: Params
    loss: Array
    slope: Params
    length: Array


def sharpness(
    problem: Problem, *, radii: Sequence[float], norm: str, adaptive: bool, steps: int, samples: int
) -> Measure:
    """Worst-case and average-case sharpness (Andriushchenko et al. 2023), L(θ + δ) − L(θ) with δ = ρ c∘u.

    The worst case is of each ``problem.together`` batches by themselves, as a step of SAM sees them, and the mean over those.
    It is found by projected ascent in u from 0: for ``l2`` a step along c∘∇L as a unit vector, for ``linf`` along its signs,
    and back to the ball's nearest place. Steps are 2 long, the ball's diameter, as those of Auto-PGD (Croce & Hein 2020); one
    that does not raise the loss is taken back, and those after it are half as long. So the best place is kept, the first
    step tried is SAM's, and more steps never find less. Where c∘∇L is zero, its place is taken by c∘v, v normal. What an
    ascent finds is a lower bound.

    The average is over u ~ N(0, I) for ``l2`` and u ~ U(−1, 1) for ``linf``, of the mean loss over all batches. u and −u have
    one distribution and are taken together, so that the gradient, which the average does not depend on, adds no variance.

    Args:
      problem: what is measured.
      radii: ρ, each above 0.
      norm: ``l2``, ‖u‖₂ ≤ 1, or ``linf``, ``max |u_i| ≤ 1``.
      adaptive: ``c = |θ|``, entry by entry, or else 1.
      steps: of the ascent, a gradient each.
      samples: pairs u, −u of the average, ≥ 2; the same for all radii.

    Returns:
      measure(params, context, key) -> lists with a number for each radius: ``worst_case``, ≥ 0, with ``worst_case_se``, the
      standard error of the mean where it is of two numbers or more; ``average`` and ``average_se``, over samples.
    """

    def moved(params: Params, u: Params, radius: float) -> Params:
        return jax.tree.map(lambda p, u, c: p + (radius * u * c).astype(p.dtype), params, u, scale(params))

    def scale(params: Params) -> Params:
        return jax.tree.map(jnp.abs if adaptive else jnp.ones_like, params)

    def scaled(params: Params, tree: Params) -> Params:
        return jax.tree.map(jnp.multiply, scale(params), tree)

    def loss(params: Params, context: Context, batch: Batch) -> Array:
        inputs, labels = batch
        return problem.loss_fn(problem.logits_fn(params, context, inputs), labels)

    # One program for a batch, called from Python, as convolutions in a compiled loop are slow on a CPU.
    @partial(jax.jit, donate_argnames="total")
    def add(total: Any, params: Params, context: Context, batch: Batch, u: Params, radius: float) -> Any:
        value, gradient = jax.value_and_grad(loss)(moved(params, u, radius), context, batch)
        found = value, scaled(params, gradient)
        return jax.tree.map(lambda total, x: total + x / problem.together, total, found)

    @jax.jit
    def zeros(params: Params) -> tuple[Array, Params]:
        return jnp.zeros((), jnp.result_type(*jax.tree.leaves(params))), jax.tree.map(jnp.zeros_like, params)

    @jax.jit
    def proposed(climb: _Climb, params: Params, key: Array) -> Params:
        """The next u to try."""
        unit, steep = normalize(climb.slope)
        instead, _ = normalize(scaled(params, probes.draw(key, params, "gaussian")))
        along = jax.tree.map(lambda x, y: jnp.where(steep == 0, y, x), unit, instead)
        if norm == "linf":
            return jax.tree.map(lambda u, d: jnp.clip(u + climb.length * jnp.sign(d), -1, 1), climb.u, along)
        further = jax.tree.map(lambda u, d: u + climb.length * d, climb.u, along)
        inside, size = normalize(further)
        return jax.tree.map(lambda x, y: jnp.where(size > 1, x, y), inside, further)

    @jax.jit
    def higher(climb: _Climb, u: Params, value: Array, slope: Params) -> _Climb:
        shorter = climb._replace(length=climb.length / 2)
        rises = value > climb.loss
        return jax.tree.map(partial(jnp.where, rises), _Climb(u, value, slope, climb.length), shorter)

    def ascent(
        params: Params, context: Context, part: Sequence[Batch], radius: float, key: Array
    ) -> tuple[Array, Array]:
        """L(θ), and the highest L that is found."""

        def at(u: Params) -> tuple[Array, Params]:
            total = zeros(params)
            for batch in part:
                total = add(total, params, context, batch, u, radius)
            return total

        start, u = zeros(params)
        before, slope = at(u)
        climb = _Climb(u, before, slope, start + 2)
        for step in range(steps):
            u = proposed(climb, params, jax.random.fold_in(key, step))
            climb = higher(climb, u, *at(u))
        return before, climb.loss

    @jax.jit
    def draw(params: Params, key: Array, sample: int) -> Params:
        key = jax.random.fold_in(key, sample)
        if norm == "l2":
            return probes.draw(key, params, "gaussian")
        flat, unravel = ravel_pytree(params)
        return unravel(jax.random.uniform(key, flat.shape, flat.dtype, -1, 1))

    @jax.jit
    def loss_at(params: Params, context: Context, batch: Batch, u: Params, radius: float) -> Array:
        return loss(moved(params, u, radius), context, batch)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        climbing, drawing = jax.random.split(key)
        batches = problem.batches

        def worst(part: Sequence[Batch]) -> dict[str, np.ndarray]:
            rises = [ascent(params, context, part, radius, climbing) for radius in radii]
            before, after = np.asarray(jax.device_get(rises), np.float64).T
            return {"worst_case": after - before}

        def losses(u: Params, radius: float) -> list[Array]:
            return [loss_at(params, context, batch, u, radius) for batch in batches]

        here = np.asarray(jax.device_get(losses(zeros(params)[1], 0.0)), np.float64)
        average = []
        for sample in range(samples):
            u = draw(params, drawing, sample)
            found = [[losses(u, radius), losses(u, -radius)] for radius in radii]
            risen = np.asarray(jax.device_get(found), np.float64) - here
            average.append({"average": risen.mean(axis=(1, 2))})
        return {**mean_over_steps(problem, worst), **means(average)}

    return measure
