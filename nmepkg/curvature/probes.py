"""Random vectors whose outer product is the identity in expectation."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_DRAW = {"gaussian": jax.random.normal, "rademacher": jax.random.rademacher}


def draw(key: Array, params: Any, kind: str) -> Any:
    """A probe v of the structure, shapes and types of ``params`` with independent entries, E v = 0, E v vᵀ = I.

    The estimate vᵀA v of tr A, A symmetric, has variance 2‖A‖_F² for Gaussian entries and 2(‖A‖_F² − ‖diag A‖²) for
    Rademacher entries (±1), the least that independent entries can have (Hutchinson 1990).

    Args:
      key: PRNG key.
      params: a pytree of real numbers.
      kind: ``gaussian`` or ``rademacher``.
    """
    leaves, structure = jax.tree.flatten(params)
    shapes, types = [jnp.shape(leaf) for leaf in leaves], [jnp.result_type(leaf) for leaf in leaves]
    # One draw for all leaves of a type: a generator for each leaf would be most of what XLA compiles of a step.
    drawn: list[Any] = [None] * len(leaves)
    for number, dtype in enumerate(dict.fromkeys(types)):
        places = [place for place, other in enumerate(types) if other == dtype]
        ends = np.cumsum([math.prod(shapes[place]) for place in places])
        together = _DRAW[kind](jax.random.fold_in(key, number), (int(ends[-1]),), dtype)
        for place, part in zip(places, jnp.split(together, ends[:-1]), strict=True):
            drawn[place] = part.reshape(shapes[place])
    return jax.tree.unflatten(structure, drawn)
