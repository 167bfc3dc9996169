"""Weight decay as a part of the loss, where methods perturb and penalise it too."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg.curvature.vectors import dot
from nmepkg.methods.base import ApplyFn, LabelledLossFn
from nmepkg.training.optimizer import decayed


def penalty(params: Any, strength: ArrayLike, which: str) -> Array:
    """½ λ ‖θ‖² of the parameters that decay; scalar.

    Args:
      strength: λ, which may be traced.
      which: see :func:`nmepkg.training.optimizer.decayed`.
    """
    decaying = jax.tree.map(lambda leaf, decays: leaf if decays else None, params, decayed(params, which))
    return jnp.multiply(strength, dot(decaying, decaying)) / 2


def in_loss(apply: ApplyFn, loss: LabelledLossFn, strength: ArrayLike, which: str) -> tuple[ApplyFn, LabelledLossFn]:
    """A model and a loss L as the model and loss L + ½ λ ‖θ‖² of one whose logits are (z, θ).

    With θ among the logits the loss is still a function of them, and what methods make of its parts is what it should be: N is
    that of L, as θ is linear in θ, and G has λ more on the diagonal of what decays.

    Args:
      apply, loss: as methods take them.
      strength, which: as of :func:`penalty`.

    Example:
      L = ½θ⁴ at θ = 1, where SAM's direction at ρ = ½ is 2 (θ + ρ)³ + λ (θ + ρ):

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> from nmepkg.training.decay import in_loss
      >>> model, loss = in_loss(lambda theta, x: ((theta * x) ** 2, None), losses.mse, 0.1, "all")
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> round(float(methods.sam()(model, loss, jnp.ones(()), batch, jax.random.key(0), 0.5).direction), 3)
      6.9

    Source: github.com/google-research/sam, whose loss has the decay in it when it is perturbed (Foret et al. 2021).
    """

    def with_parameters(params: Any, inputs: Any) -> tuple[Any, Any]:
        logits, state = apply(params, inputs)
        return (logits, params), state

    def with_penalty(logits: Any, labels: Any) -> Array:
        z, params = logits
        return loss(z, labels) + penalty(params, strength, which)

    return with_parameters, with_penalty
