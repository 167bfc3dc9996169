"""The mean loss over all batches of a problem: its gradient, and products with its curvature.

One batch's part is one program, called from Python, as convolutions in a compiled loop are slow on a CPU; it is linearised
anew each time, as what a linearisation keeps would grow with the number of batches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nmepkg import curvature
from nmepkg.curvature import probes
from nmepkg.curvature.types import LinearMap
from nmepkg.curvature.vectors import normalize
from nmepkg.measurement.problem import Batch, Context, Params, Problem

PRODUCTS = {"H": curvature.hvp, "G": curvature.gnvp, "N": curvature.nmevp}


def gradient(problem: Problem) -> Callable[[Params, Context], Params]:
    """(params, context) -> ∇L."""

    def of_batch(params: Params, context: Context, batch: Batch) -> Params:
        return problem.linearize(params, context, batch).gradient

    add = _adding(problem, of_batch)

    def whole(params: Params, context: Context) -> Params:
        total = _zeros(params)
        for batch in problem.batches:
            total = add(total, params, context, batch)
        return total

    return whole


def products(problem: Problem) -> Callable[[str, Params, Context], LinearMap]:
    """(``H``, ``G`` or ``N``, params, context) -> (v ↦ A v)."""

    def of_batch(part: str, params: Params, context: Context, batch: Batch, v: Params) -> Params:
        inputs, labels = batch
        return PRODUCTS[part](
            lambda p: problem.logits_fn(p, context, inputs), lambda z: problem.loss_fn(z, labels), params, v
        )

    programs = {part: _adding(problem, partial(of_batch, part)) for part in PRODUCTS}

    def whole(part: str, params: Params, context: Context) -> LinearMap:
        def matvec(v: Params) -> Params:
            total = _zeros(params)
            for batch in problem.batches:
                total = programs[part](total, params, context, batch, v)
            return total

        return matvec

    return whole


def terms(problem: Problem) -> Callable[[Params, Context], dict[str, Params]]:
    """(params, context) -> ĝ = g/‖g‖, g = ∇L, as ``g``, and H ĝ, N ĝ as ``H`` and ``N``; H ĝ is G ĝ + N ĝ."""
    slope, product = gradient(problem), products(problem)

    def found(params: Params, context: Context) -> dict[str, Params]:
        g = unit(slope(params, context))
        along_g, along_n = (product(part, params, context)(g) for part in ("G", "N"))
        return {"g": g, "H": _add(along_g, along_n), "N": along_n}

    return found


@jax.jit
def unit(tree: Params) -> Params:
    """t/‖t‖, or 0."""
    return normalize(tree)[0]


@jax.jit
def start(params: Params, key: Array) -> Params:
    """A random vector for Lanczos' method to start from."""
    return probes.draw(key, params, "gaussian")


@jax.jit
def _add(x: Params, y: Params) -> Params:
    return jax.tree.map(jnp.add, x, y)


def _adding(problem: Problem, of_batch: Callable[..., Params]) -> Callable[..., Params]:
    """The program that adds one batch's share of a mean to what is there, in its place."""

    @partial(jax.jit, donate_argnums=0)
    def add(total: Params, *arguments: Any) -> Params:
        return jax.tree.map(lambda total, x: total + x / len(problem.batches), total, of_batch(*arguments))

    return add


@jax.jit
def _zeros(params: Params) -> Params:
    return jax.tree.map(jnp.zeros_like, params)
