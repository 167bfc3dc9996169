"""A function that rounds to half precision as it would be without that rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from nmepkg.curvature.jaxprs import equations, evaluate

_SINGLE = {jnp.dtype(half): jnp.dtype(jnp.float32) for half in (jnp.bfloat16, jnp.float16)}


def rounds(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function computes something in half precision. It traces the function once."""
    traced = jax.make_jaxpr(function)(*arguments)
    made = (var for equation in equations(traced.jaxpr) for var in equation.outvars)
    return any(getattr(var.aval, "dtype", None) in _SINGLE for var in made)


def in_single(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with every number that it takes, makes or returns in half precision kept in float32.

    Its program is traced, and each operation that has a type of half precision gets the other instead; constants stay as they
    were rounded. What it returns cannot be differentiated by rules of its parts (``jax.custom_jvp``): differentiate first.
    """

    def computed(*arguments: Any) -> Any:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = evaluate(traced, jax.tree.leaves(arguments), _SINGLE)
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return computed
