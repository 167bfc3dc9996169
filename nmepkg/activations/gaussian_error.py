"""GELU, its approximation, and the family that it belongs to."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from nmepkg.activations.tails import clip_tail
from nmepkg.activations.types import Values

_SQRT_2 = math.sqrt(2)


def gelu(x: Values) -> Values:
    """x Φ(x), the exact form (Hendrycks & Gimpel 2016).

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.gelu(jnp.ones(()))), 4)  # Φ(1)
      0.8413
    """
    return beta_gelu(x, 1.0)


def gelu_tanh(x: Values) -> Values:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), the tanh approximation of GELU.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.gelu_tanh(jnp.ones(()))), 4)  # Φ(1) is 0.8413
      0.8412
    """
    t = clip_tail(x)
    return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (t + 0.044715 * t**3)))


def beta_gelu(x: Values, beta: ArrayLike) -> Values:
    """β-GELU, x Φ(βx) (paper, section 4.3): GELU at β = 1, tending to ReLU as β → ∞.

    φ' = Φ(βx) + βx φ_N(βx) and φ'' = β φ_N(βx) (2 − β²x²), with φ_N the density of the standard normal distribution.
    φ''(0) = 2β/√(2π) grows with β while ∫φ'' = 1.

    Args:
      x: any shape.
      beta: sharpness of the bend, > 0; may be traced.

    Example:
      >>> import jax
      >>> from nmepkg import activations
      >>> round(float(jax.grad(jax.grad(activations.beta_gelu))(0.0, 10.0)), 3)  # 20/√(2π)
      7.979
    """
    return 0.5 * x * (1 + jax.lax.erf(clip_tail(beta * x) / _SQRT_2))
