"""What keeps functions of Φ and its density finite far from 0."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def clip_tail(t: ArrayLike) -> Array:
    """t where the normal density at t is a number of its type, the nearest such t elsewhere.

    Beyond, exp(−t²/2) is 0 and Φ is 0 or 1 in floating point: clipping changes no value, and keeps the powers of t in
    higher derivatives from overflowing to ∞·0 = NaN.
    """
    bound = 40.0 if jnp.result_type(t) == jnp.float64 else 15.0
    return jnp.clip(t, -bound, bound)
