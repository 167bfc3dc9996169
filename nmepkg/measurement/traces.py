"""Measures tr H, tr G and tr N, whole and by layer."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import Array

from nmepkg.curvature import parameters
from nmepkg.curvature.hutchinson import estimate, quadratic_forms
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem


def traces(problem: Problem, *, samples: int, probe: str) -> Measure:
    """Estimates of tr H, tr G, tr N of the mean loss over ``problem.batches``, from ``samples`` probes.

    Every batch and layer sees the same probes. H is G + N, probe by probe, with N v taken for a residual held constant:
    near interpolation a difference H − G would be rounding error.

    Args:
      problem: what is measured.
      samples: number of probes, ≥ 2.
      probe: ``gaussian`` or ``rademacher``.

    Returns:
      measure(params, context, key) -> ``tr_A`` (estimate), ``tr_A_se`` (standard error over probes), ``tr_A_variance``
      (variance of the estimate from a single probe) for A = H, G, N, and ``layers``: layer -> the same keys, for the
      diagonal block of the layer's parameters.
    """

    @jax.jit
    def parts(params: Params, context: Context, batch: Batch) -> Any:
        return problem.linearize(params, context, batch).parts

    @jax.jit
    def forms(linear_map: Any, params: Params, key: Array, sample: int) -> Array:
        return quadratic_forms(linear_map, params, jax.random.fold_in(key, sample), probe)

    def measure(params: Params, context: Context, key: Array) -> dict[str, Any]:
        total: Any = 0.0
        # One compiled program is called from Python, as convolutions in a compiled loop are slow on a CPU. Calls overlap
        # within a batch; waiting for it bounds the linearisations that are held.
        for batch in problem.batches:
            linear_map = parts(params, context, batch)
            values = jax.device_get([forms(linear_map, params, key, sample) for sample in range(samples)])
            total = total + np.asarray(values, np.float64)
        g, n = np.moveaxis(total / len(problem.batches), 1, 0)  # (samples, layers) each
        names = sorted(set(parameters.layer_names(params)))
        return {
            **_estimates(g.sum(axis=1), n.sum(axis=1)),
            "layers": {name: _estimates(g[:, i], n[:, i]) for i, name in enumerate(names)},
        }

    return measure


def _estimates(g: np.ndarray, n: np.ndarray) -> dict[str, float]:
    result = {}
    for part, values in (("H", g + n), ("G", g), ("N", n)):
        result[f"tr_{part}"], result[f"tr_{part}_se"], result[f"tr_{part}_variance"] = estimate(values)
    return result
