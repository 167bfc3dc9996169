"""Sharpness-aware minimisation: the gradient at a perturbed point. No second derivative is taken."""

from __future__ import annotations

from jax.typing import ArrayLike

from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import normalize
from nmepkg.methods.base import ApplyFn, Batch, LabelledLossFn, Method, Update, loss_and_gradient, shifted
from nmepkg.methods.parts import HERE, Execution, in_groups


def sam(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """direction = ∇L(θ + ρ ĝ), ĝ = ∇L(θ)/‖∇L(θ)‖, with strength ρ (Foret et al. 2021).

    Args:
      m: examples of a group that is perturbed by itself; see :func:`nmepkg.methods.parts.in_groups`.
      execution: how parts are taken.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.sam()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2 (θ + ρ)³, as ĝ = 1
      6.75
    """
    return in_groups(_ascent(normalized=True), m, execution)


def usam(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """direction = ∇L(θ + ρ ∇L(θ)): SAM without the normaliser, with strength ρ (Andriushchenko & Flammarion 2022).

    Args:
      m, execution: as of :func:`sam`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.usam()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2 (θ + ρ g)³, with g = 2θ³ = 2
      16.0
    """
    return in_groups(_ascent(normalized=False), m, execution)


def _ascent(normalized: bool) -> Method:
    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, gradient = loss_and_gradient(apply_fn, loss_fn, params, batch)
        along = normalize(gradient)[0] if normalized else gradient
        _, _, direction = loss_and_gradient(shifted(apply_fn, strength, along), loss_fn, params, batch)
        return Update(direction, state, loss)

    return method
