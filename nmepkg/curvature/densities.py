"""The density of an operator's eigenvalues, by stochastic Lanczos quadrature, with standard errors over start vectors.

For q uniform on the sphere, qᵀ f(A) q is tr f(A)/P in expectation, and k steps of Lanczos' method from q give a
quadrature of it that is exact for polynomials of degree < 2k (:mod:`nmepkg.curvature.krylov`). Source: Ubaru, Chen &
Saad (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from nmepkg.curvature import probes
from nmepkg.curvature.hutchinson import estimate
from nmepkg.curvature.krylov import lanczos, ritz
from nmepkg.curvature.operators import Operator
from nmepkg.curvature.types import Key


class Density(NamedTuple):
    """A quadrature for each start vector.

    Attributes:
      values: the places θ of each, ascending.
      weights: of each, of sum 1.
    """

    values: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]

    def mean(self, function: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
        """(estimate, standard error) of tr f(A)/P, the mean of an elementwise function over all eigenvalues."""
        pairs = zip(self.values, self.weights, strict=True)
        found, error, _ = estimate(np.array([np.sum(weights * function(values)) for values, weights in pairs]))
        return found, error

    def at(self, places: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
        """(density, standard error) at some places, each eigenvalue broadened to a normal density of this standard deviation.

        A density that is narrower than what Ritz values are apart shows the quadrature and not the spectrum.
        """

        def broadened(place: float) -> tuple[float, float]:
            return self.mean(
                lambda values: np.exp(-0.5 * ((place - values) / width) ** 2) / (width * np.sqrt(2 * np.pi))
            )

        found, errors = zip(*(broadened(place) for place in np.asarray(places, np.float64)), strict=True)
        return np.array(found), np.array(errors)


def density(operator: Operator, *, steps: int = 50, samples: int = 10, key: Key | None = None) -> Density:
    """The density of the eigenvalues of a symmetric operator.

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say.
      steps: of Lanczos' method from each start vector, P at most; so many vectors are held.
      samples: start vectors, ≥ 2.
      key: PRNG key of these.

    Raises:
      ValueError: there are fewer than two samples.

    Example:
      Half of the eigenvalues are 1 and half are 3: their mean is 2, and that of their squares 5:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> diagonal = jnp.tile(jnp.array([1.0, 3.0]), 500)
      >>> A = curvature.Operator(diagonal, lambda vectors: [diagonal * v for v in vectors])
      >>> found = curvature.density(A, steps=2, samples=20)
      >>> [round(found.mean(lambda x: x**power)[0], 1) for power in (1, 2)]
      [2.0, 5.0]
    """
    if samples < 2:
        raise ValueError(f"samples: a standard error needs 2 start vectors or more, not {samples}")
    key = jax.random.key(0) if key is None else key

    def quadrature(number: int) -> tuple[np.ndarray, np.ndarray]:
        start = probes.draw(jax.random.fold_in(key, number), operator.like, "gaussian")
        found = ritz(lanczos(operator.matvec, start, min(steps, operator.size)))
        return found.values, found.weights

    values, weights = zip(*(quadrature(number) for number in range(samples)), strict=True)
    return Density(values, weights)
