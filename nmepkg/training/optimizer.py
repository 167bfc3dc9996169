"""Stochastic gradient descent with momentum, from Optax, with every number traced.

Order of operations on a method's direction d, which the paper leaves open: clip d to a global norm; add λθ (weight decay is
coupled, and outside the penalised loss); momentum u ← μu + d, or Nesterov's d + μu; step −lr(t)·u.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array


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
      total_steps: steps of the whole training.
    """

    strength: Any
    beta: Any
    learning_rate: Any
    momentum: Any
    weight_decay: Any
    clip_norm: Any
    warmup_steps: Any
    total_steps: Any


def learning_rate(step: Array, hyper: Hyperparameters) -> Array:
    """lr(t) of step t = 0, 1, …: linear warm-up over W steps, then half a cosine to zero at T (Loshchilov & Hutter 2017).

    lr_peak · (t + 1)/W for t < W, and lr_peak · ½ (1 + cos(π (t − W)/(T − W))) from there on.
    """
    warmup, total = hyper.warmup_steps, hyper.total_steps
    progress = (step - warmup) / jnp.maximum(total - warmup, 1)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1)))
    linear = (step + 1) / jnp.maximum(warmup, 1)
    return hyper.learning_rate * jnp.where(step < warmup, linear, cosine)


def decayed(params: Any, which: str) -> Any:
    """Which parameters weight decay acts on: ``all``, or ``kernels``, those of two axes or more (no biases, no norms)."""
    return jax.tree.map(lambda leaf: which == "all" or leaf.ndim >= 2, params)


def sgd(
    hyper: Hyperparameters, params: Any, *, nesterov: bool, decayed_parameters: str, clip: bool
) -> optax.GradientTransformation:
    """The transformation of a direction up to the learning rate, whose sign and size :func:`learning_rate` gives."""
    return optax.chain(
        optax.clip_by_global_norm(hyper.clip_norm) if clip else optax.identity(),
        optax.add_decayed_weights(hyper.weight_decay, mask=decayed(params, decayed_parameters)),
        optax.trace(decay=hyper.momentum, nesterov=nesterov),
    )
