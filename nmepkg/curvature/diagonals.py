"""The diagonal of an operator from random vectors."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from nmepkg.curvature.operators import Operator
from nmepkg.curvature.sketches import exact_diagonal, leave_one_out, sketch
from nmepkg.curvature.types import Key, Params


class Diagonal(NamedTuple):
    """An estimate of diag A, as pytrees like the operator's.

    Attributes:
      value: of diag A, unbiased.
      standard_error: of each entry, estimated; 0 where it is diag A itself.
      products: with A that it took.
    """

    value: Params
    standard_error: Params
    products: int


def xdiag(operator: Operator, *, products: int = 30, key: Key | None = None) -> Diagonal:
    """diag A by XDiag: the mean over i of diag(Q_iQ_iᵀA) + ω_i ⊙ (I − Q_iQ_iᵀ) A ω_i.

    Q_i is an orthonormal basis of A ω_j for all j but i, of m = ``products``/2 Rademacher vectors ω. It is diag A
    itself, but for rounding, if A has a rank below m, or P is not above ``products``. The standard error takes the m
    estimates for independent, which they are not quite. Source: Epperly, Tropp & Webber (2024).

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say.
      products: ≥ 4; memory is three times so many vectors.
      key: PRNG key.

    Raises:
      ValueError: there are too few products.

    Example:
      A of rank 1, and diagonal (1, 4, 9, 0 …):

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> u = jnp.array([1.0, 2.0, 3.0] + 97 * [0.0])
      >>> A = curvature.Operator(u, lambda vectors: [u * (u @ v) for v in vectors])
      >>> abs(curvature.xdiag(A, products=4).value[:4]).round(3).tolist()
      [1.0, 4.0, 9.0, 0.0]
    """
    m = products // 2
    if m < 2:
        raise ValueError(f"products: XDiag needs 4 or more, not {products}")
    if operator.size <= products:
        found = exact_diagonal(operator)
        return Diagonal(operator.unravel(found), operator.unravel(jnp.zeros_like(found)), operator.size)
    random = jax.random.rademacher(jax.random.key(0) if key is None else key, (operator.size, m), operator.dtype)
    of = sketch(operator, random)
    S = leave_one_out(of.triangle)
    # A is symmetric, so that QᵀA ω_i is the column r_i of R, and (I − Q_iQ_iᵀ) A ω_i = Q s_i (s_i · r_i).
    rests = jnp.asarray((S * of.triangle).sum(axis=0), of.basis.dtype)
    left_out = jnp.asarray(S, of.basis.dtype)
    along, image = of.basis @ left_out, of.image @ left_out
    changes = along * (of.random * rests[None] - image)
    value = jnp.sum(of.basis * of.image, axis=1) + jnp.mean(changes, axis=1)
    error = jnp.std(changes, axis=1, ddof=1) / m**0.5
    return Diagonal(operator.unravel(value), operator.unravel(error), 2 * m)
