"""The largest eigenvalue of a symmetric map, with its eigenvector, to a tolerance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.krylov import lanczos, ritz, ritz_vectors
from nmepkg.curvature.types import LinearMap
from nmepkg.measurement.problem import Params

_RUNS = 20  # of Lanczos at most: what has not converged then is left as it is


class Leading(NamedTuple):
    """The largest eigenvalue on the real line.

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


def leading(matvec: LinearMap, start: Params, steps: int, tolerance: float) -> Leading:
    """By Lanczos' method, restarted from the Ritz vector, until the bound is ``tolerance`` of the eigenvalue or less.

    Args:
      matvec: v ↦ A v, symmetric.
      start: not zero, and not orthogonal to what is looked for.
      steps: before each restart, P at most; memory is steps · P numbers.
      tolerance: see above.
    """
    flat, unravel = ravel_pytree(start)
    products = 0
    for _ in range(_RUNS):
        run = lanczos(matvec, start, min(steps, flat.size))
        found = ritz(run)
        products += len(run.diagonal)
        value, bound = float(found.values[-1]), float(found.bounds[-1])
        (vector,) = ritz_vectors(run, found, np.array([-1]))
        if not bound > tolerance * abs(value):  # of no number either
            break
        start = unravel(vector.astype(flat.dtype))
    return Leading(value, bound, vector, products)
