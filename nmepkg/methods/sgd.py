"""Stochastic gradient descent: the baseline, and every other method at strength 0."""

from __future__ import annotations

from typing import Any

from jax import Array

from nmepkg.methods.base import Batch, LogitsFn, LossFn, Params, Update, loss_and_gradient


def sgd(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any = 0.0) -> Update:
    """direction = ∇L(θ). ``strength`` and ``key`` are not used."""
    loss, state, gradient = loss_and_gradient(logits_fn, loss_fn, params, batch)
    return Update(gradient, state, loss)
