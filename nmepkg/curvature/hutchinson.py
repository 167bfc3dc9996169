"""Traces of G, N and H = G + N, whole and by layer, from probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from nmepkg.curvature import parameters, probes
from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import dot

Parts = Callable[[Params], tuple[Params, Params]]


def quadratic_forms(parts: Parts, params: Params, key: Key, probe: str) -> Float[Array, "2 layers"]:
    """v_lᵀ (A v)_l for every layer l, A = G and N, and one probe v drawn with ``key``; sums over l are vᵀA v.

    The expectation over v is the trace of layer l's diagonal block of A: cross-layer blocks have none.

    Args:
      parts: v ↦ (G v, N v), as of ``linearize``.
      params: θ; only its structure, shapes and types matter.
      key: PRNG key.
      probe: kind of probe, see :func:`nmepkg.curvature.probes.draw`.

    Returns:
      (2, number of layers): G then N, layers by name as ``sorted(set(parameters.layer_names(params)))``.

    Example:
      G = 2 I and N = I, where vᵀA v of a Rademacher probe is the trace itself:

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> params = {"one": {"kernel": jnp.ones(2)}, "two": {"kernel": jnp.ones(3)}}
      >>> parts = lambda v: (jax.tree.map(lambda x: 2 * x, v), v)
      >>> curvature.quadratic_forms(parts, params, jax.random.key(0), "rademacher").tolist()
      [[4.0, 6.0], [2.0, 3.0]]
    """
    v = probes.draw(key, params, probe)
    names = parameters.layer_names(params)
    order = sorted(set(names))
    rows = []
    for product in parts(v):
        sums: dict[str, Any] = dict.fromkeys(order, 0.0)
        for name, x, y in zip(names, jax.tree.leaves(v), jax.tree.leaves(product), strict=True):
            sums[name] = sums[name] + dot(x, y)
        rows.append(jnp.stack([sums[name] for name in order]))
    return jnp.stack(rows)


def estimate(values: Float[np.ndarray, " n"]) -> tuple[float, float, float]:
    """(mean, standard error of the mean, variance of one value) of (n,) independent values, n ≥ 2, in float64.

    For quadratic forms vᵀA v of Gaussian probes the variance tends to 2‖A‖_F², for Rademacher probes to
    2(‖A‖_F² − ‖diag A‖²) (Hutchinson 1990).

    Example:
      >>> import numpy as np
      >>> from nmepkg import curvature
      >>> curvature.estimate(np.array([0.0, 4.0]))
      (2.0, 2.0, 8.0)
    """
    values = np.asarray(values, np.float64)
    variance = float(np.var(values, ddof=1))
    return float(np.mean(values)), float(np.sqrt(variance / len(values))), variance
