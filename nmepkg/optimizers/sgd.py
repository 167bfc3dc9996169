"""Stochastic gradient descent with momentum."""

from __future__ import annotations

import optax
from jax.typing import ArrayLike


def sgd(
    decay: optax.GradientTransformation, *, momentum: ArrayLike = 0.9, nesterov: bool = True
) -> optax.GradientTransformation:
    """d ← d + λθ; u ← μu + d; then u, or Nesterov's d + μu. Decay is coupled: momentum averages it too.

    Args:
      decay: adds λθ.
      momentum: μ.
      nesterov: see above.

    Example:
      Two steps along d = 1 without decay, with u = 1 and then ½ · 1 + 1:

      >>> import jax.numpy as jnp, optax
      >>> from nmepkg.optimizers.sgd import sgd
      >>> optimizer = sgd(optax.identity(), momentum=0.5, nesterov=False)
      >>> state = optimizer.init(jnp.ones(()))
      >>> for _ in range(2):
      ...     step, state = optimizer.update(jnp.ones(()), state, jnp.ones(()))
      >>> float(step)
      1.5

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """
    return optax.chain(decay, optax.trace(decay=momentum, nesterov=nesterov))
