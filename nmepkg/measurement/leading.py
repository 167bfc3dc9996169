"""The largest eigenvalues of a symmetric map, with their eigenvectors, to a tolerance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.krylov import lanczos, ritz, ritz_vectors
from nmepkg.curvature.types import LinearMap
from nmepkg.measurement.problem import Params

_RUNS = 20  # of Lanczos at most: what has not converged then is left as it is


class Leading(NamedTuple):
    """An eigenvalue, the largest on the real line, or the one after.

    Attributes:
      value: NaN where the map is not finite.
      bound: an eigenvalue lies within.
      vector: (P,), of length 1.
      products: how many it took.
    """

    value: float
    bound: float
    vector: Array
    products: int


def leading(matvec: LinearMap, start: Params, steps: int, tolerance: float, first: Leading | None = None) -> Leading:
    """By Lanczos' method, restarted from the Ritz vector, until the bound is ``tolerance`` of the eigenvalue or less.

    Args:
      matvec: v ↦ A v, symmetric.
      start: not zero, and not orthogonal to what is looked for.
      steps: before each restart, P at most; memory is steps · P numbers.
      tolerance: see above.
      first: the largest, where the one after is wanted, which may be equal: A is then taken on the complement of its vector,
        and the bound holds for A itself.
    """
    flat, unravel = ravel_pytree(start)
    known, scale, inexact = (None, 0.0, 0.0) if first is None else (first.vector[None], abs(first.value), first.bound)
    size = flat.size - (first is not None)
    products = 0
    for _ in range(_RUNS):
        run = lanczos(matvec, start, min(steps, size), known)
        found = ritz(run, scale, size)
        products += len(run.diagonal)
        value, bound = float(found.values[-1]), math.hypot(found.bounds[-1], inexact)
        (vector,) = ritz_vectors(run, found, np.array([-1]))
        if not found.bounds[-1] > tolerance * abs(value):  # of no number either
            break
        start = unravel(vector.astype(flat.dtype))
    return Leading(value, bound, vector, products)
