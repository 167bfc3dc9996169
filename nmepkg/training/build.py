"""What a recipe names, loaded: activation, model and losses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg.activations.replacement import replace_second_derivative
from nmepkg.activations.types import Activation as Phi
from nmepkg.registry import ACTIVATIONS, LOSSES, MODELS, SECOND_DERIVATIVES
from nmepkg.specs import Activation, Recipe

Loss = Callable[[Array, Array], Array]


def activation(chosen: Activation, beta: ArrayLike | None = None) -> Phi:
    """φ, elementwise.

    Args:
      chosen: φ, and what takes the place of φ''.
      beta: replaces the β of a β-GELU, so that runs that differ only in β can share one compiled step; may be traced.
    """
    options = dict(chosen.options)
    if beta is not None and "beta" in options:
        options["beta"] = beta
    phi = ACTIVATIONS[chosen.name].load()
    if (replacement := chosen.second_derivative) is not None:
        psi = partial(SECOND_DERIVATIVES[replacement.name].load(), **replacement.options)
        phi = replace_second_derivative(phi, psi)
    arguments = tuple(options.values())  # positional, as custom_jvp wants traced arguments
    return lambda x: phi(x, *arguments)


def model(recipe: Recipe, classes: int, precision: str = "float32") -> Callable[..., Any]:
    """``activation=φ`` -> the Flax module, which computes in ``precision``."""
    make = partial(MODELS[recipe.model.name].load(), classes=classes, **recipe.model.options)
    return make if precision == "float32" else partial(make, dtype=jnp.dtype(precision))


def loss(recipe: Recipe) -> Loss:
    """(logits, labels) -> scalar, the loss that is trained with."""
    return partial(LOSSES[recipe.loss.name].load(), **recipe.loss.options)


def evaluation_loss(recipe: Recipe) -> Loss:
    """(logits, labels) -> scalar, the same loss of the labels themselves: smoothed ones are the training's alone."""
    options = {key: value for key, value in recipe.loss.options.items() if key != "label_smoothing"}
    return partial(LOSSES[recipe.loss.name].load(), **options)
