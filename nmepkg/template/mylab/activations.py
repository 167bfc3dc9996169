"""Activations: functions of an array and of their options, in the order of the entry, elementwise."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike


def mish(x: Array, sharpness: ArrayLike) -> Array:
    """x tanh(log(1 + exp(s x))) (Misra 2020, with s = 1)."""
    return x * jnp.tanh(jax.nn.softplus(sharpness * x))
