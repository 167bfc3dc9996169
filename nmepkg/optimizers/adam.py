"""Adam, and AdamW, which decays weights by themselves."""

from __future__ import annotations

import optax
from jax.typing import ArrayLike


def adam(
    decay: optax.GradientTransformation,
    *,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """d ← d + λθ; m ← β₁m + (1 − β₁)d; v ← β₂v + (1 − β₂)d²; then m̂ / (√v̂ + ε).

    At step t = 1, 2, … it is m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ). Decay is coupled: it is a part of d, and scaled as that is.

    Args:
      decay: adds λθ.
      b1, b2, eps: β₁, β₂ and ε.
      nesterov: takes β₁m/(1 − β₁ᵗ⁺¹) + (1 − β₁)d/(1 − β₁ᵗ) for m̂.

    Example:
      A first step is of length 1 along each axis, however long d is:

      >>> import jax.numpy as jnp, optax
      >>> from nmepkg.optimizers.adam import adam
      >>> optimizer = adam(optax.identity())
      >>> params = jnp.ones(2)
      >>> step, _ = optimizer.update(jnp.array([100.0, -0.01]), optimizer.init(params), params)
      >>> step.round(3).tolist()
      [1.0, -1.0]

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; Dozat 2016 for Nesterov's.
    """
    return optax.chain(decay, optax.scale_by_adam(b1, b2, eps, nesterov=nesterov))


def adamw(
    decay: optax.GradientTransformation,
    *,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """m̂ / (√v̂ + ε) + λθ, with the m̂ and v̂ of :func:`adam` of d alone. Decay is decoupled: nothing scales it but lr(t).

    Args:
      decay: adds λθ.
      b1, b2, eps, nesterov: as of :func:`adam`.

    Example:
      A first step of length 1, and λθ = 0.1 · 3:

      >>> import jax.numpy as jnp, optax
      >>> from nmepkg.optimizers.adam import adamw
      >>> optimizer = adamw(optax.add_decayed_weights(0.1))
      >>> params = jnp.array(3.0)
      >>> step, _ = optimizer.update(jnp.array(100.0), optimizer.init(params), params)
      >>> round(float(step), 3)
      1.3

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2, whose schedule multiplies the decay
    and whose α here multiplies it too, as in Optax and PyTorch.
    """
    return optax.chain(optax.scale_by_adam(b1, b2, eps, nesterov=nesterov), decay)
