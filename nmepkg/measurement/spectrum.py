"""Measures extreme eigenvalues and the spectral densities of H, G and N."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array

from nmepkg.curvature import probes
from nmepkg.curvature.krylov import Lanczos, eigenvalues, lanczos, ritz, rounding_error
from nmepkg.measurement.problem import Context, Measure, Params, Problem
from nmepkg.measurement.whole import PRODUCTS, products


def spectrum(problem: Problem, *, steps: int, samples: int, top: int) -> Measure:
    """Extreme eigenvalues and spectral densities of H, G, N of the mean loss over ``problem.batches``.

    Args:
      problem: what is measured.
      steps: of Lanczos' method, with full reorthogonalisation; P of them at most. A run's memory is steps · P numbers and one
        batch's product, however many batches there are; ``top`` > 1 holds the first run and what has converged beside it.
      samples: number of random start vectors of the densities; the first one's run gives the eigenvalues too.
      top: how many eigenvalues at each end; as many as there are Ritz values at most.

    Returns:
      measure(params, context, key) -> for A = H, G, N:

      - ``largest_eigenvalue_A`` and ``smallest_eigenvalue_A`` (the leftmost on the real line);
      - ``largest_eigenvalues_A`` and ``smallest_eigenvalues_A``, lists from the end inwards, and their residual bounds
        ``largest_bounds_A`` and ``smallest_bounds_A``: an eigenvalue of A lies that near (but for rounding), so one
        has converged where its bound is small. Of those that have, there are as many copies as of the eigenvalue, up to
        ``top``; ``copies_may_be_missing_A`` says whether one of the lists holds others;
      - ``density_A``: ``values`` and ``weights``, a list for each start vector, with Σ w f(θ) averaged over them an
        estimate of tr f(A) / P: broaden them to draw the density.
    """

    @jax.jit
    def draw(params: Params, key: Array, number: int) -> Params:
        return probes.draw(jax.random.fold_in(key, number), params, "gaussian")

    product = products(problem)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        result: dict[str, Any] = {}
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        for part in PRODUCTS:
            matvec = product(part, params, context)

            def start(number: int, found: Array | None = None, matvec: Any = matvec) -> Lanczos:
                return lanczos(matvec, draw(params, key, number), min(steps, size), found)

            first = start(0)
            quadratures = [ritz(first)]
            values, bounds = eigenvalues(lambda number, found: start(samples - 1 + number, found), first, top)
            precision = first.diagonal.dtype
            del first  # and the Lanczos vectors with it
            quadratures += [ritz(start(number)) for number in range(1, samples)]
            for end, order in (("largest", slice(None, None, -1)), ("smallest", slice(None))):
                ends = values[order][:top].tolist()
                result[f"{end}_eigenvalue_{part}"] = ends[0]
                result[f"{end}_eigenvalues_{part}"] = ends
                result[f"{end}_bounds_{part}"] = bounds[order][:top].tolist()
            listed = np.concatenate([bounds[:top], bounds[-top:]])
            rounding = rounding_error(float(np.abs(values).max()), precision)
            result[f"copies_may_be_missing_{part}"] = bool(top > 1 and not (listed <= rounding).all())
            result[f"density_{part}"] = {
                "values": [quadrature.values.tolist() for quadrature in quadratures],
                "weights": [quadrature.weights.tolist() for quadrature in quadratures],
            }
        return result

    return measure
