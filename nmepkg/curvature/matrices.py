"""Linear maps of pytrees as dense matrices, a few columns at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.vectors import norm

Params = Any  # a pytree of arrays
LinearMap = Callable[[Params], Params]


def columns(linear_map: LinearMap, like: Params, start: Any, chunk: int) -> Array:
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
    units = jax.nn.one_hot(start + jnp.arange(chunk), flat.size, dtype=flat.dtype)
    return jax.vmap(lambda unit: ravel_pytree(linear_map(unravel(unit)))[0])(units)


def dense(linear_map: LinearMap, like: Params, chunk: int = 64) -> Array:
    """The matrix A of a linear map of pytrees, ``chunk`` columns at a time. Arguments as of :func:`columns`.

    Returns:
      (P, P).
    """
    flat, _ = ravel_pytree(like)
    starts = jnp.arange(0, flat.size, chunk)
    rows = jax.lax.map(lambda start: columns(linear_map, like, start, chunk), starts)
    return rows.reshape(-1, flat.size)[: flat.size].T


def frobenius_norm(linear_map: LinearMap, like: Params, chunk: int = 64) -> Array:
    """‖A‖_F of a linear map of pytrees, ``chunk`` columns at a time: memory grows with chunk · P, not with P².

    Call it inside ``jax.jit``; ``jax.vmap`` over what ``linear_map`` closes over works. Arguments as of :func:`columns`.

    Returns:
      Scalar.
    """
    flat, _ = ravel_pytree(like)

    def chunk_norm(start: Array) -> Array:
        return norm(columns(linear_map, like, start, chunk))

    return norm(jax.lax.map(chunk_norm, jnp.arange(0, flat.size, chunk)))
