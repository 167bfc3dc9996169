"""Stochastic gradient descent: the baseline, and every other method at strength 0."""

from __future__ import annotations

from jax.typing import ArrayLike

from nmepkg.curvature.types import Key, Params
from nmepkg.methods.base import ApplyFn, Batch, LabelledLossFn, Method, Update, loss_and_gradient


def sgd() -> Method:
    """direction = ∇L(θ), whatever the strength.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.sgd()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³
      2.0
    """

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, gradient = loss_and_gradient(apply_fn, loss_fn, params, batch)
        return Update(gradient, state, loss)

    return method
