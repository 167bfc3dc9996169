"""Random vectors whose outer product is the identity in expectation."""

from __future__ import annotations

import jax
from jax.flatten_util import ravel_pytree

from nmepkg.curvature.types import Key, Params

_DRAW = {"gaussian": jax.random.normal, "rademacher": jax.random.rademacher}


def draw(key: Key, params: Params, kind: str) -> Params:
    """A probe v of the structure, shapes and types of ``params`` with independent entries, E v = 0, E v vᵀ = I.

    The estimate vᵀA v of tr A, A symmetric, has variance 2‖A‖_F² for Gaussian entries and 2(‖A‖_F² − ‖diag A‖²) for
    Rademacher entries (±1), the least that independent entries can have (Hutchinson 1990).

    Args:
      key: PRNG key.
      params: a pytree of real numbers.
      kind: ``gaussian`` or ``rademacher``.

    Raises:
      ValueError: there is no such kind.
    """
    if kind not in _DRAW:
        raise ValueError(f"a probe is {' or '.join(_DRAW)}, not {kind!r}")
    # One draw for all leaves: a generator for each would be most of what XLA compiles of a step.
    flat, unravel = ravel_pytree(params)
    return unravel(_DRAW[kind](key, flat.shape, flat.dtype))
