"""Gradient penalties L + ρ ‖∇L‖ᵖ, whole and by part of the Hessian.

The gradient of ‖g‖ᵖ, g = ∇L(θ), is p ‖g‖ᵖ⁻¹ H ĝ with ĝ = g/‖g‖: a Hessian-vector product whose vector counts as a
constant. Taken so (and not by differentiating the norm) it costs three gradients in arithmetic, and its two parts
G ĝ and N ĝ can be taken alone, which is the paper's full-NME ablation and its complement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nmepkg import curvature
from nmepkg.methods.base import (
    Batch,
    LogitsFn,
    LossFn,
    Method,
    Params,
    Update,
    add_scaled,
    loss_and_gradient,
    normalize,
    shifted,
    with_groups,
)
from nmepkg.methods.precision import in_single, rounds


def _penalize(product: Callable[..., Params], p: float) -> Method:
    """The method whose direction is ∇L + ρ p ‖g‖ᵖ⁻¹ A ĝ, with A v = ``product(logits_fn, loss_fn, params, v)``."""

    def method(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
        inputs, labels = batch
        loss, state, gradient = loss_and_gradient(logits_fn, loss_fn, params, batch)
        unit, length = normalize(gradient)
        along = product(lambda params: logits_fn(params, inputs)[0], lambda z: loss_fn(z, labels), params, unit)
        scale = strength * p * length ** (p - 1)
        return Update(add_scaled(gradient, scale, along), state, loss)

    return method


@with_groups
def gradient_penalty(
    logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any, *, p: float
) -> Update:
    """direction = ∇(L + ρ ‖∇L‖ᵖ) = g + ρ p ‖g‖ᵖ⁻¹ H ĝ, with strength ρ.

    Args:
      p: exponent ≥ 1; static. For p < 1 the penalty is not differentiable where the gradient vanishes.

    Raises:
      ValueError: p < 1.

    Source: paper, section 2 (p = 1 is PSAM, p = 2 is PUSAM); Barrett & Dherin (2021), Zhao et al. (2022).
    """
    if p < 1:
        raise ValueError(f"the exponent of a gradient penalty must be at least 1, not {p}")
    return _penalize(curvature.hvp, p)(logits_fn, loss_fn, params, batch, key, strength)


@with_groups
def psam(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
    """Penalty SAM: direction = g + ρ H ĝ, the gradient of L + ρ ‖∇L‖ and SAM's step to first order in ρ.

    Source: paper, section 2, whose printed update forgets the ρ.
    """
    return _penalize(curvature.hvp, 1.0)(logits_fn, loss_fn, params, batch, key, strength)


@with_groups
def pusam(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
    """Penalty USAM: direction = g + 2ρ H g, the gradient of L + ρ ‖∇L‖². USAM's step to first order has ρ where this has 2ρ.

    Source: paper, section 2.
    """
    return _penalize(curvature.hvp, 2.0)(logits_fn, loss_fn, params, batch, key, strength)


@with_groups
def psam_gn(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
    """PSAM with the full NME ablated: direction = g + ρ G ĝ. Not the gradient of any function; needs no φ''.

    Source: paper, section 4.4 (the route that adds a Gauss-Newton-vector product to the update; the penalty
    ‖J(θ̃)ᵀ ∇_z L(z(θ))‖ with its Jacobian held constant has the same gradient).
    """
    return _penalize(curvature.gnvp, 1.0)(logits_fn, loss_fn, params, batch, key, strength)


@with_groups
def psam_nme(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
    """PSAM with the NME alone: direction = g + ρ N ĝ, the complement of :func:`psam_gn`.

    To first order in ρ this is Functional SAM's step (Singh et al. 2025): the Jacobian at θ + ρĝ times ∇_z L at θ.
    """
    return _penalize(curvature.nmevp, 1.0)(logits_fn, loss_fn, params, batch, key, strength)


@with_groups
def psam_fd(
    logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any, *, step: float
) -> Update:
    """PSAM by a finite difference: direction = g + ρ (∇L(θ + h ĝ) − ∇L(θ))/h, with h = ``step``.

    It needs no φ'', and sees the bends of a piecewise linear activation that lie within h of θ, which H ĝ by autodiff
    does not. At h = ρ it is SAM.

    Rounding errors of the two gradients are divided by h. Where the model computes in half precision, which would leave nothing
    of their difference, it is taken in float32, by two gradients more.

    Args:
      step: h > 0, a length in parameter space.

    Raises:
      ValueError: h ≤ 0.
    """
    if step <= 0:
        raise ValueError(f"the step of a finite difference must be above 0, not {step}")

    def gradient_at(scale: Any, v: Params) -> Params:
        return loss_and_gradient(shifted(logits_fn, scale, v), loss_fn, params, batch)[2]

    loss, state, gradient = loss_and_gradient(logits_fn, loss_fn, params, batch)
    unit, _ = normalize(gradient)
    here = gradient
    if rounds(gradient_at, step, unit):
        gradient_at = in_single(gradient_at)
        here = gradient_at(0.0, unit)
    difference = jax.tree.map(jnp.subtract, gradient_at(step, unit), here)
    return Update(add_scaled(gradient, strength / step, difference), state, loss)
