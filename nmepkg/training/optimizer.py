"""Stochastic gradient descent with momentum, from Optax, with every number traced.

Order of operations on a method's direction d, which the paper leaves open: clip d to a global norm; add λθ (weight decay is
coupled, and outside the penalised loss), unless it is in d already (:mod:`nmepkg.training.decay`); momentum u ← μu + d, or
Nesterov's d + μu; step −lr(t)·u.
"""

from __future__ import annotations

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
      momentum: μ.
      weight_decay: λ.
      clip_norm: largest global norm of a direction; ignored when clipping is off.
      warmup_steps: steps of linear warm-up.
      warmup_from: the share of the peak that it begins at.
      total_steps: steps of the whole training.
    """

    strength: Any
    beta: Any
    learning_rate: Any
    momentum: Any
    weight_decay: Any
    clip_norm: Any
    warmup_steps: Any
    warmup_from: Any
    total_steps: Any


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
        momentum=optimizer.momentum,
        weight_decay=optimizer.weight_decay,
        clip_norm=optimizer.clip_norm or 0.0,
        warmup_steps=round(optimizer.warmup_epochs * epoch),
        warmup_from=optimizer.warmup_from,
        total_steps=training.epochs * epoch,
    )
    return Hyperparameters(*(np.float32(number) for number in numbers))


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


def sgd(
    hyper: Hyperparameters, params: Any, *, nesterov: bool, decayed_parameters: str | None, clip: bool
) -> optax.GradientTransformation:
    """The transformation of a direction up to the learning rate, whose sign and size :func:`learning_rate` gives.

    Args:
      decayed_parameters: see :func:`decayed`; None: the direction has its decay already.
    """
    return optax.chain(
        clip_by_norm(hyper.clip_norm) if clip else optax.identity(),
        optax.identity()
        if decayed_parameters is None
        else optax.add_decayed_weights(hyper.weight_decay, mask=decayed(params, decayed_parameters)),
        optax.trace(decay=hyper.momentum, nesterov=nesterov),
    )
