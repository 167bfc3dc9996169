"""Smooth activations made of the logistic function."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from nmepkg.activations.types import Values


def silu(x: Values) -> Values:
    """x σ(x) (Hendrycks & Gimpel 2016; Ramachandran et al. 2017).

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.silu(jnp.log(3.0))), 3)  # ¾ log 3
      0.824
    """
    return x * jax.nn.sigmoid(x)


def softplus(x: Values) -> Values:
    """log(1 + eˣ).

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.softplus(jnp.zeros(()))), 3)  # log 2
      0.693
    """
    return jax.nn.softplus(x)


def tanh(x: Values) -> Values:
    """Hyperbolic tangent.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> round(float(activations.tanh(jnp.log(3.0) / 2)), 3)  # (3 − 1)/(3 + 1)
      0.5
    """
    return jnp.tanh(x)
