"""Measures the largest eigenvalue of the Hessian beside that at which the optimiser is unstable."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature import probes
from nmepkg.curvature.vectors import normalize
from nmepkg.measurement.leading import leading
from nmepkg.measurement.problem import Context, Measure, Params, Problem
from nmepkg.measurement.whole import products

_FRESH = 0.1  # of a random vector beside the known one, as another eigenvalue may have overtaken it


def edge_of_stability(problem: Problem, *, steps: int, tolerance: float) -> Measure:
    """The largest eigenvalue of H of the mean loss over ``problem.batches``, and the edge of stability (Cohen et al. 2021).

    Lanczos' method is restarted from the eigenvector that it finds, until the residual bound, within which an eigenvalue lies,
    is ``tolerance`` of the eigenvalue or less. A point begins with the eigenvector of the run's point before, and a tenth of
    a random one: from either start the eigenvalue is the same within twice the tolerance.

    Args:
      problem: what is measured.
      steps: of Lanczos before each restart, P at most; memory is steps · P numbers.
      tolerance: see above.

    Returns:
      measure(params, context, key) -> ``sharpness``, the eigenvalue; ``threshold``, of ``problem.edge``; ``ratio`` of the
      two; ``bound``, the residual bound; and ``products``, how many with H it took.
    """

    @jax.jit
    def begin(params: Params, key: Array, known: Array | None) -> Params:
        v, _ = normalize(probes.draw(key, params, "gaussian"))
        if known is None:
            return v
        flat, unravel = ravel_pytree(params)
        return jax.tree.map(lambda x, v: x + _FRESH * v, unravel(known.astype(flat.dtype)), v)

    product = products(problem)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        memory, context = context["memory"], {**context, "memory": {}}  # which changes, and no program depends on
        matvec = product("H", params, context)
        start = begin(params, key, memory.get("eigenvector"))
        found = leading(matvec, start, steps, tolerance)
        if np.isfinite(found.value):
            memory["eigenvector"] = found.vector
        threshold = problem.edge(int(context["step"]))
        return {
            "sharpness": found.value,
            "threshold": threshold,
            "ratio": found.value / threshold,
            "bound": found.bound,
            "products": found.products,
        }

    return measure
