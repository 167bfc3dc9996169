"""Piecewise linear activations, whose φ'' autodiff says is 0."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from nmepkg.activations.types import Values


def relu(x: Values) -> Values:
    """max(x, 0), with slope 0 at 0 (``jnp.maximum`` would say ½).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import activations
      >>> activations.relu(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 2.0]
      >>> float(jax.grad(activations.relu)(0.0))
      0.0
    """
    return jax.nn.relu(x)


def leaky_relu(x: Values, negative_slope: ArrayLike = 0.01) -> Values:
    """x where x ≥ 0, ``negative_slope``·x elsewhere.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import activations
      >>> activations.leaky_relu(jnp.array([-1.0, 2.0]), negative_slope=0.5).tolist()
      [-0.5, 2.0]
    """
    return jnp.where(x >= 0, x, negative_slope * x)
