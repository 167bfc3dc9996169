"""Traces of operators from random vectors, to a wanted precision (Hutchinson) or from a number of products (Hutch++, XTrace).

Hutchinson's error falls as 1/√m with m products. Hutch++ takes out a subspace of the large eigenvalues first, and its
error falls as 1/m or faster; XTrace does so with all of its vectors, each used for the remainder that the others
leave. They win where few eigenvalues carry the trace, as in G, and where it is large beside ‖A‖_F they gain little.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nmepkg.curvature import probes
from nmepkg.curvature.hutchinson import estimate
from nmepkg.curvature.operators import Operator
from nmepkg.curvature.sketches import exact_diagonal, leave_one_out, sketch
from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import dot, single

_TOGETHER = 10  # probes of one pass over the data


class Trace(NamedTuple):
    """An estimate of tr A.

    Attributes:
      value: of tr A, unbiased.
      standard_error: of it, estimated; 0 where it is tr A itself.
      products: with A that it took.
    """

    value: float
    standard_error: float
    products: int


def trace(operator: Operator, *, precision: float = 0.01, max_samples: int = 1000, key: Key | None = None) -> Trace:
    """tr A by Hutchinson's estimator, the mean of vᵀA v over Rademacher probes v, until its standard error is small enough.

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say.
      precision: wanted, standard error over the estimate's size. It is asked after every 10 probes, from 20 on, which biases an
        estimate of few samples a little (Chow & Robbins 1965).
      max_samples: ≥ 2; with so many it ends in any case, and its standard error says how far it came. A trace near 0,
        as N's may be, is never known to a relative precision.
      key: PRNG key.

    Raises:
      ValueError: there are fewer than two samples.

    Example:
      For a diagonal A each vᵀA v is the trace:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> diagonal = jnp.array([1.0, 2.0, 4.0])
      >>> curvature.trace(curvature.Operator(diagonal, lambda vectors: [diagonal * v for v in vectors]))
      Trace(value=7.0, standard_error=0.0, products=20)
    """
    if max_samples < 2:
        raise ValueError(f"max_samples: a standard error needs 2 probes or more, not {max_samples}")
    key = jax.random.key(0) if key is None else key
    forms: list[float] = []
    while len(forms) < max_samples:
        numbers = range(len(forms), min(len(forms) + _TOGETHER, max_samples))
        vectors = [_probe(key, number, operator.like) for number in numbers]
        found = [_dot(v, product) for v, product in zip(vectors, operator.products(vectors), strict=True)]
        forms += np.asarray(jax.device_get(found), np.float64).tolist()
        if len(forms) >= 2 * _TOGETHER:
            value, error, _ = estimate(np.array(forms))
            if error <= precision * abs(value):
                break
    value, error, _ = estimate(np.array(forms))
    return Trace(value, error, len(forms))


@jax.jit
def _probe(key: Key, number: Any, like: Params) -> Params:
    return probes.draw(jax.random.fold_in(key, number), like, "rademacher")


_dot = jax.jit(dot)


def hutchpp(operator: Operator, *, products: int = 30, key: Key | None = None) -> Trace:
    """tr A by Hutch++: tr QᵀA Q, with Q an orthonormal basis of A S, and Hutchinson's estimate of what is orthogonal to it.

    A third of the products each are for A S, A Q, and the probes of the remainder. It is tr A itself, but for
    rounding, if A has a rank of that third or less, or P is not above ``products``. Source: Meyer, Musco, Musco &
    Woodruff (2021).

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say.
      products: ≥ 6; memory is so many vectors.
      key: PRNG key.

    Raises:
      ValueError: there are too few products.

    Example:
      A of rank 1, and trace 14:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> u = jnp.array([1.0, 2.0, 3.0] + 97 * [0.0])
      >>> A = curvature.Operator(u, lambda vectors: [u * (u @ v) for v in vectors])
      >>> found = curvature.hutchpp(A, products=6)
      >>> round(found.value, 3), found.standard_error < 1e-3
      (14.0, True)
    """
    third = products // 3
    if third < 2:
        raise ValueError(f"products: Hutch++ needs 6 or more, not {products}")
    if operator.size <= products:
        return _exact(operator)
    first, second = jax.random.split(jax.random.key(0) if key is None else key)
    of = sketch(operator, jax.random.rademacher(first, (operator.size, third), operator.dtype))
    free = single(jax.random.rademacher(second, (operator.size, third), operator.dtype))
    free = free - of.basis @ (of.basis.T @ free)
    rests = jnp.sum(free * single(operator.matmat(free)), axis=0)
    rest, error, _ = estimate(np.asarray(rests, np.float64))
    return Trace(float(np.trace(of.projected)) + rest, error, 3 * third)


def xtrace(operator: Operator, *, products: int = 30, key: Key | None = None) -> Trace:
    """tr A by XTrace: the mean over i of tr Q_iᵀA Q_i + c_i ω_iᵀ(I − Q_iQ_iᵀ) A (I − Q_iQ_iᵀ) ω_i.

    Q_i is an orthonormal basis of A ω_j for all j but i, of m = ``products``/2 vectors ω uniform on a sphere, and
    c_i = (P − m + 1)/‖(I − Q_iQ_iᵀ) ω_i‖². It is tr A itself, but for rounding, if A has a rank below m, or P is not above
    ``products``. The standard error takes the m estimates for independent, which they are not quite. Source: Epperly,
    Tropp & Webber (2024).

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say.
      products: ≥ 4; memory is twice so many vectors.
      key: PRNG key.

    Raises:
      ValueError: there are too few products.

    Example:
      A of rank 1, and trace 14:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> u = jnp.array([1.0, 2.0, 3.0] + 97 * [0.0])
      >>> A = curvature.Operator(u, lambda vectors: [u * (u @ v) for v in vectors])
      >>> found = curvature.xtrace(A, products=4)
      >>> round(found.value, 3), found.standard_error < 1e-3
      (14.0, True)
    """
    m = products // 2
    if m < 2:
        raise ValueError(f"products: XTrace needs 4 or more, not {products}")
    if operator.size <= products:
        return _exact(operator)
    normal = jax.random.normal(jax.random.key(0) if key is None else key, (operator.size, m), operator.dtype)
    of = sketch(operator, normal * (operator.size**0.5 / jnp.linalg.norm(normal, axis=0)[None]))
    S = leave_one_out(of.triangle)
    W, R, H = of.along, of.triangle, of.projected
    X = W - S * np.sum(S * W, axis=0)  # of Q X = Q_i Q_iᵀ ω_i
    rests = np.sum(W * R, axis=0) - 2 * np.sum(X * R, axis=0) + np.sum(X * (H @ X), axis=0)
    scales = (operator.size - m + 1) / (of.squares - np.sum(X**2, axis=0))
    value, error, _ = estimate(np.trace(H) - np.sum(S * (H @ S), axis=0) + scales * rests)
    return Trace(value, error, 2 * m)


def _exact(operator: Operator) -> Trace:
    return Trace(float(np.sum(np.asarray(exact_diagonal(operator), np.float64))), 0.0, operator.size)
