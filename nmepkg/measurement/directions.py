"""Pairs of directions through the parameters, by which a plane is laid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.parameters import is_kernel
from nmepkg.measurement.leading import Leading, leading
from nmepkg.measurement.problem import Context, Params, Problem
from nmepkg.measurement.whole import gradient, products, start, unit

Pair = tuple[Params, Params]
EIGENVECTORS = {"top_H": "H", "top_G": "G", "top_N": "N"}
_BY_HEAD = ("query", "key", "value")  # of attention: their features are a head's, on the last two axes


def directions(
    problem: Problem, which: str, steps: int, tolerance: float
) -> Callable[[Params, Context, Array], tuple[Pair, dict[str, float]]]:
    """Two directions u and v of the mean loss L at θ.

    Args:
      problem: the loss.
      which: ``top_H``, ``top_G`` or ``top_N``: the eigenvectors of the two largest eigenvalues, on the real line, of H, G or
        N; ``g_and_top_H``: ĝ = g/‖g‖, g = ∇L, and the eigenvector of H's largest; ``filter_normalized``: two random ones, of
        normal entries, by :func:`filter_normalized`. Eigenvectors are unit vectors with the sign by which the loss does not
        fall at first, ⟨v, g⟩ ≥ 0.
      steps, tolerance: of Lanczos' method, as of :func:`nmepkg.measurement.leading.leading`.

    Returns:
      found(params, context, key) -> (u, v), and of each that is an eigenvector ``eigenvalue_u`` and ``bound_u``, the residual
      bound, or ``eigenvalue_v`` and ``bound_v``. ``key`` draws random directions, and what Lanczos' method starts from.
    """
    slope, product = gradient(problem), products(problem)

    def found(params: Params, context: Context, key: Array) -> tuple[Pair, dict[str, float]]:
        keys = jax.random.split(key)
        if which == "filter_normalized":
            u, v = (filter_normalized(params, start(params, each)) for each in keys)
            return (u, v), {}
        g = unit(slope(params, context))
        matvec = product(EIGENVECTORS.get(which, "H"), params, context)
        first = leading(matvec, start(params, keys[0]), steps, tolerance)
        if which == "g_and_top_H":
            return (g, _oriented(first.vector, g)), _account(first, "v")
        second = leading(matvec, start(params, keys[1]), steps, tolerance, first)
        return (_oriented(first.vector, g), _oriented(second.vector, g)), _account(first, "u") | _account(second, "v")

    return found


def filter_normalized(params: Params, direction: Params) -> Params:
    """d_f ‖θ_f‖/‖d_f‖ for each filter f, of a kernel the weights that lead to one output feature (Li et al. 2018).

    What is no kernel (:func:`nmepkg.curvature.parameters.is_kernel`: biases, scales of normalisation, embeddings of positions)
    has 0, as in the authors' code with ``ignore='biasbn'``, so that θ + d is no net of other units. Output features are on the
    last axis, and of queries, keys and values of attention on the last two, heads and their features.

    Args:
      params: θ.
      direction: d, of the same structure; a filter that is 0 stays so.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg.measurement.directions import filter_normalized
      >>> theta = {"kernel": jnp.array([[3.0, 0.0], [4.0, 2.0]]), "bias": jnp.ones(2)}
      >>> d = filter_normalized(theta, {"kernel": jnp.array([[0.0, 1.0], [2.0, 0.0]]), "bias": jnp.ones(2)})
      >>> d["kernel"].tolist(), d["bias"].tolist()
      ([[0.0, 2.0], [5.0, 0.0]], [0.0, 0.0])
    """
    return jax.tree_util.tree_map_with_path(_filters, params, direction)


def _filters(path: tuple[Any, ...], weights: Array, direction: Array) -> Array:
    if not is_kernel(path, weights):
        return jnp.zeros_like(direction)
    module = jax.tree_util.keystr(path[-2:-1], simple=True)
    features = 2 if weights.ndim == 3 and module in _BY_HEAD else 1
    inputs = tuple(range(weights.ndim - features))

    def length(x: Array) -> Array:
        return jnp.sqrt(jnp.sum(jnp.square(x), axis=inputs, keepdims=True))

    drawn = length(direction)
    return direction * jnp.where(drawn > 0, length(weights) / jnp.where(drawn > 0, drawn, 1), 0)


@jax.jit
def _oriented(vector: Array, g: Params) -> Params:
    """A flat vector as a pytree, with the sign that g has along it."""
    flat, unravel = ravel_pytree(g)
    along = jnp.vdot(vector, flat, precision="highest")
    return unravel(jnp.where(along < 0, -vector, vector).astype(flat.dtype))


def _account(found: Leading, name: str) -> dict[str, float]:
    return {f"eigenvalue_{name}": found.value, f"bound_{name}": found.bound}
