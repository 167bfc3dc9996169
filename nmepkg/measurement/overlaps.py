"""Measures how much of the gradient, of what curvature makes of it, and of steps lies in the span of the top eigenvectors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.krylov import lanczos, ritz, ritz_vectors
from nmepkg.curvature.vectors import normalize, single
from nmepkg.measurement.problem import Context, Measure, Params, Problem
from nmepkg.measurement.whole import gradient, products, start, terms


def overlaps(problem: Problem, *, top: int, steps: int, rho: float) -> Measure:
    """‖V x‖²/‖x‖² for V the eigenvectors of the largest eigenvalues of H, or of G (Gur-Ari et al. 2018), and vectors x.

    Those are g = ∇L(θ), the step of SGD, L the mean loss over ``problem.batches``; H ĝ = G ĝ + N ĝ and N ĝ, with ĝ = g/‖g‖;
    what SAM and PSAM step along at θ, ∇L(θ + ρ ĝ) and g + ρ H ĝ, without momentum, decay or clipping; and what the second
    misses of the first, their difference. Where x is 0, its share is 0.

    The eigenvectors are the Ritz vectors of one run of Lanczos' method. It sees one vector of each eigenspace, and an
    eigenvalue whose bound is not small has not converged: then its vector is a mixture.

    Args:
      problem: what is measured.
      top: how many eigenvectors, the largest eigenvalues on the real line first; as many as there are Ritz values at most.
      steps: of Lanczos' method, P at most; memory is steps · P numbers.
      rho: ρ of the steps of SAM and PSAM.

    Returns:
      measure(params, context, key) -> ``overlap_X_A`` in [0, 1] for X = ``g``, ``H``, ``N``, ``sam``, ``psam``, ``missed`` and
      A = H, G; ``eigenvalues_A`` and their residual ``bounds_A``, lists from the largest. ``key`` draws the vector that
      Lanczos' method starts from.
    """

    @jax.jit
    def shares(vectors: Array, along: dict[str, Params]) -> dict[str, Array]:
        def share(x: Params) -> Array:
            unit, _ = normalize(x)
            inside = jnp.matmul(vectors, single(ravel_pytree(unit)[0]), precision="highest")
            return jnp.minimum(inside @ inside, 1)  # rounding goes beyond by an epsilon

        return {name: share(x) for name, x in along.items()}

    @jax.jit
    def beyond(x: Params, along: Params, length: float = rho) -> Params:
        return jax.tree.map(lambda x, d: x + length * d, x, along)

    slope, along_gradient, product = gradient(problem), terms(problem), products(problem)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        along = along_gradient(params, context)
        along["sam"] = slope(beyond(params, along["g"]), context)
        along["psam"] = beyond(slope(params, context), along["H"])
        along["missed"] = beyond(along["sam"], along["psam"], -1.0)
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        result: dict[str, Any] = {}
        for part in ("H", "G"):
            run = lanczos(product(part, params, context), start(params, key), min(steps, size))
            found = ritz(run)
            largest = range(len(found.values))[::-1][:top]
            vectors = ritz_vectors(run, found, np.array(largest))
            del run  # and the Lanczos vectors with it
            for name, share in jax.device_get(shares(vectors, along)).items():
                result[f"overlap_{name}_{part}"] = float(share)
            result[f"eigenvalues_{part}"] = found.values[::-1][:top].tolist()
            result[f"bounds_{part}"] = found.bounds[::-1][:top].tolist()
        return result

    return measure
