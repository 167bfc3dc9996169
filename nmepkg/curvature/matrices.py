"""Linear maps of pytrees as dense matrices, a few columns at a time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from nmepkg.curvature.types import LinearMap, Params, Scalar
from nmepkg.curvature.vectors import norm


def columns(linear_map: LinearMap, like: Params, start: Any, chunk: int) -> Float[Array, "chunk size"]:
    """The columns ``start`` … ``start + chunk − 1`` of the matrix A of a linear map of pytrees; those beyond P are zero.

    Args:
      linear_map: v ↦ A v, for v of the structure, shapes and types of ``like``.
      like: a pytree of P entries in all; its order is that of ``jax.flatten_util.ravel_pytree``.
      start: index of the first column; may be traced.
      chunk: number of columns; static.

    Returns:
      (chunk, P), a column of A to a row.
    """
    flat, unravel = ravel_pytree(like)
    places = jnp.asarray(start, jnp.arange(0).dtype) + jnp.arange(chunk)
    units = jax.nn.one_hot(places, flat.size, dtype=flat.dtype)
    return jax.vmap(lambda unit: ravel_pytree(linear_map(unravel(unit)))[0])(units)


def dense(linear_map: LinearMap, like: Params, chunk: int = 64) -> Float[Array, "size size"]:
    """The matrix A of a linear map of pytrees, ``chunk`` columns at a time.

    Args:
      linear_map: v ↦ A v, for v of the structure, shapes and types of ``like``.
      like: a pytree of P entries in all; its order is that of ``jax.flatten_util.ravel_pytree``.
      chunk: number of columns; static.

    Returns:
      (P, P).

    Example:
      The Hessian of L = ½ z² with z = θ₁ θ₂, which is ((θ₂², 2θ₁θ₂), (2θ₁θ₂, θ₁²)):

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> theta = jnp.array([1.0, 2.0])
      >>> at = curvature.linearize(lambda p: p[0] * p[1], lambda z: z**2 / 2, theta)
      >>> curvature.dense(at.hvp, theta).tolist()
      [[4.0, 4.0], [4.0, 1.0]]
    """
    flat, _ = ravel_pytree(like)
    starts = jnp.arange(0, flat.size, chunk)
    rows: Array = jax.lax.map(lambda start: columns(linear_map, like, start, chunk), starts)
    return rows.reshape(-1, flat.size)[: flat.size].T


def frobenius_norm(linear_map: LinearMap, like: Params, chunk: int = 64) -> Scalar:
    """‖A‖_F of a linear map of pytrees, ``chunk`` columns at a time: memory grows with chunk · P, not with P².

    Call it inside ``jax.jit``; ``jax.vmap`` over what ``linear_map`` closes over works.

    Args:
      linear_map: v ↦ A v, for v of the structure, shapes and types of ``like``.
      like: a pytree of P entries in all; its order is that of ``jax.flatten_util.ravel_pytree``.
      chunk: number of columns; static.

    Returns:
      Scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> diagonal = jnp.array([3.0, 4.0])
      >>> round(float(curvature.frobenius_norm(lambda v: diagonal * v, jnp.zeros(2))), 3)
      5.0
    """
    flat, _ = ravel_pytree(like)

    def chunk_norm(start: Array) -> Scalar:
        return norm(columns(linear_map, like, start, chunk))

    return norm(jax.lax.map(chunk_norm, jnp.arange(0, flat.size, chunk)))
