"""Synthetic second derivatives, which an activation's own may be replaced by."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax.typing import ArrayLike

from nmepkg.activations.tails import clip_tail
from nmepkg.activations.types import Values

_SQRT_2PI = math.sqrt(2 * math.pi)


def gaussian(x: Values, beta: ArrayLike = 100.0) -> Values:
    """φ'' := β/√(2π) exp(−β²x²/2), the paper's synthetic NME (equation 19); its integral is 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> x = jnp.linspace(-1, 1, 2001)
      >>> round(float(activations.gaussian(x).sum() * 0.001), 3)
      1.0
    """
    return jnp.exp(-0.5 * clip_tail(beta * x) ** 2) * (beta / _SQRT_2PI)


def gaussian_listing(x: Values, beta: ArrayLike = 100.0) -> Values:
    """φ'' := β/√(2π) exp(−β²x²), as in the listing of the paper's appendix; its integral is 1/√2.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> x = jnp.linspace(-1, 1, 2001)
      >>> round(float(activations.gaussian_listing(x).sum() * 0.001), 3)
      0.707
    """
    return jnp.exp(-(clip_tail(beta * x) ** 2)) * (beta / _SQRT_2PI)
