"""What becomes of a method's direction: clipping, an optimiser with its decay, the learning rate; every number is traced.

Order of operations on a direction d, which the paper leaves open: clip d to a global norm; the optimiser
(:mod:`nmepkg.optimizers`), which adds λθ where it sees fit, outside the penalised loss, unless that is in d already
(:mod:`nmepkg.training.decay`); step −lr(t) times what it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from nmepkg.curvature import parameters
from nmepkg.curvature.vectors import normalize
from nmepkg.specs import Recipe


class Hyperparameters(NamedTuple):
    """Numbers of a run that are arguments of the compiled step, so that a grid over them compiles once. Scalars.

    Attributes:
      strength: the method's ρ or σ².
      beta: β of a β-GELU; ignored by other activations.
      learning_rate: its peak.
      weight_decay: λ.
      clip_norm: largest global norm of a direction; ignored when clipping is off.
      warmup_steps: steps of linear warm-up.
      warmup_from: the share of the peak that it begins at.
      total_steps: steps of the whole training.
      options: name -> number, of the optimiser's own.
    """

    strength: Any
    beta: Any
    learning_rate: Any
    weight_decay: Any
    clip_norm: Any
    warmup_steps: Any
    warmup_from: Any
    total_steps: Any
    options: dict[str, Any]


def hyperparameters(recipe: Recipe, examples: int) -> Hyperparameters:
    """The traced numbers of a recipe, in single precision; ``examples`` counts the training set.

    With a ``reference_batch_size`` R the learning rate is for R examples a step, and scaled by B/R (Goyal et al. 2018).
    """
    optimizer, training = recipe.optimizer, recipe.training
    batch = training.batch_size
    epoch = examples // batch
    numbers = Hyperparameters(
        strength=recipe.method.strength,
        beta=recipe.activation.options.get("beta", 1.0),
        learning_rate=optimizer.learning_rate * batch / (optimizer.reference_batch_size or batch),
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm or 0.0,
        warmup_steps=round(optimizer.warmup_epochs * epoch),
        warmup_from=optimizer.warmup_from,
        total_steps=training.epochs * epoch,
        options=optimizer.numbers,
    )
    return jax.tree.map(np.float32, numbers)


def learning_rate(step: Array, hyper: Hyperparameters) -> Array:
    """lr(t) of step t = 0, 1, …: linear warm-up over W steps, then half a cosine to zero at T (Loshchilov & Hutter 2017).

    lr_peak · (f + (1 − f) t/W) for t < W, f the share that it begins at, and lr_peak · ½ (1 + cos(π (t − W)/(T − W))) from
    there on: the peak is that of step W, and 0 would be that of step T, the first after the training. It is Optax's
    ``warmup_cosine_decay_schedule``, with numbers that are traced.
    """
    warmup, total, begin = hyper.warmup_steps, hyper.total_steps, hyper.warmup_from
    progress = (step - warmup) / jnp.maximum(total - warmup, 1)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1)))
    linear = begin + (1 - begin) * step / jnp.maximum(warmup, 1)
    return hyper.learning_rate * jnp.where(step < warmup, linear, cosine)


def decayed(params: Any, which: str) -> Any:
    """Which parameters weight decay acts on.

    ``all``; ``not_normalization``, all but scales and biases of normalisation layers (Goyal et al. 2018); or ``kernels``, what
    features are multiplied with, as :func:`nmepkg.curvature.parameters.is_kernel` has it.
    """

    def decays(path: tuple[Any, ...], leaf: Any) -> bool:
        if which == "kernels":
            return parameters.is_kernel(path, leaf)
        return which == "all" or not parameters.normalizes(path)

    return jax.tree_util.tree_map_with_path(decays, params)


def clip_by_norm(length: Any) -> optax.GradientTransformation:
    """Shortens a direction to a global norm where it is longer, however large or small its entries are."""

    def shortened(direction: Any, params: Any) -> Any:
        unit, norm = normalize(direction)
        return jax.tree.map(lambda d, u: jnp.where(norm > length, length * u, d).astype(d.dtype), direction, unit)

    return optax.stateless(shortened)


def transformation(
    make: Callable[..., optax.GradientTransformation],
    hyper: Hyperparameters,
    params: Any,
    *,
    decayed_parameters: str | None,
    clip: bool,
) -> optax.GradientTransformation:
    """The transformation of a direction up to the learning rate, whose sign and size :func:`learning_rate` gives.

    Args:
      make: the optimiser's factory (:mod:`nmepkg.optimizers`), with those of its options that are no numbers.
      decayed_parameters: see :func:`decayed`; None: the direction has its decay already.
    """
    decay = (
        optax.identity()
        if decayed_parameters is None
        else optax.add_decayed_weights(hyper.weight_decay, mask=decayed(params, decayed_parameters))
    )
    return optax.chain(
        clip_by_norm(hyper.clip_norm) if clip else optax.identity(),
        make(decay, **hyper.options),
    )
