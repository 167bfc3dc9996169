"""Sharpness-aware minimisation: the gradient at a perturbed point. No second derivative is taken."""

from __future__ import annotations

from typing import Any

from jax import Array

from nmepkg.methods.base import (
    Batch,
    LogitsFn,
    LossFn,
    Params,
    Update,
    loss_and_gradient,
    normalize,
    shifted,
    with_groups,
)


@with_groups
def sam(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
    """direction = ∇L(θ + ρ ĝ), ĝ = ∇L(θ)/‖∇L(θ)‖, with strength ρ (Foret et al. 2021)."""
    loss, state, gradient = loss_and_gradient(logits_fn, loss_fn, params, batch)
    unit, _ = normalize(gradient)
    _, _, direction = loss_and_gradient(shifted(logits_fn, strength, unit), loss_fn, params, batch)
    return Update(direction, state, loss)


@with_groups
def usam(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any) -> Update:
    """direction = ∇L(θ + ρ ∇L(θ)): SAM without the normaliser, with strength ρ (Andriushchenko & Flammarion 2022)."""
    loss, state, gradient = loss_and_gradient(logits_fn, loss_fn, params, batch)
    _, _, direction = loss_and_gradient(shifted(logits_fn, strength, gradient), loss_fn, params, batch)
    return Update(direction, state, loss)
