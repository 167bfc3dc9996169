"""Sharpness-aware minimisation: the gradient at a perturbed point. No second derivative is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg.curvature import parameters
from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import dot, normalize, single
from nmepkg.methods.base import (
    ApplyFn,
    Batch,
    LabelledLossFn,
    Method,
    Update,
    loss_and_gradient,
    on_batch,
    shifted,
)
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
    return in_groups(_ascent(lambda params, gradient: normalize(gradient)[0]), m, execution)


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
    return in_groups(_ascent(lambda params, gradient: gradient), m, execution)


def asam(
    *, eta: float = 0.01, normalization: bool = False, m: int | None = None, execution: Execution = HERE
) -> Method:
    """Adaptive SAM: direction = ∇L(θ + ρ T²g/‖T g‖), g = ∇L(θ), with strength ρ (Kwon et al. 2021).

    It is SAM where lengths are measured in units of the weights: ``T = |θ| + η`` entry by entry on kernels, what features are
    multiplied with (:func:`nmepkg.curvature.parameters.is_kernel`), and 1 on all else: biases, embeddings of positions, scales
    and biases of normalisation layers. At η = 0 factors that two layers pass to one another, as ReLU lets them, change nothing.

    Args:
      eta: η ≥ 0, so that a weight at 0 moves too. The authors take 0.01.
      normalization: whether T is ``|θ| + η`` on scales of normalisation layers too, what is called ``scale`` in one. The
        authors' code has it so: it goes by PyTorch's name ``weight``, which those bear.
      m, execution: as of :func:`sam`.

    Raises:
      ValueError: η < 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta["kernel"] * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> method = methods.asam(eta=1.0)
      >>> update = method(model, losses.mse, {"kernel": jnp.ones(())}, batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction["kernel"]), 3)  # 2 (θ + ρ T)³, with T = |θ| + η = 2
      16.0

    Source: Kwon et al. (2021), and github.com/SamsungLabs/ASAM for what T is on biases.
    """
    if eta < 0:
        raise ValueError(f"what is added to a weight's size must be at least 0, not {eta}")

    def unit(path: tuple[Any, ...], leaf: ArrayLike) -> Array:
        """T of a parameter."""
        scale = (
            normalization and parameters.normalizes(path) and jax.tree_util.keystr(path[-1:], simple=True) == "scale"
        )
        size = jnp.abs(single(leaf))
        return size + eta if scale or parameters.is_kernel(path, leaf) else jnp.ones_like(size)

    def along(params: Params, gradient: Params) -> Params:
        """T²g/‖T g‖."""
        units = jax.tree_util.tree_map_with_path(unit, params)
        steepest, _ = normalize(jax.tree.map(lambda t, g: t * single(g), units, gradient))
        return jax.tree.map(jnp.multiply, units, steepest)

    return in_groups(_ascent(along), m, execution)


def functional_sam(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """Functional SAM: direction = J(θ + ρ ĝ)ᵀ ∇_z L(z(θ)), ĝ = ∇L(θ)/‖∇L(θ)‖, with strength ρ (Singh et al. 2025).

    SAM with the Jacobian of the logits at the perturbed point and the residual at θ. To first order in ρ it is g + ρ N ĝ, the
    step of :func:`nmepkg.methods.psam_nme`, as SAM's is g + ρ H ĝ. Where logits are linear in θ, it is SGD.

    Args:
      m, execution: as of :func:`sam`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.functional_sam()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # J(θ + ρ) r = 2 (θ + ρ) θ²
      3.0
    """

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, gradient = loss_and_gradient(apply_fn, loss_fn, params, batch)
        logits_of, loss_of = on_batch(apply_fn, loss_fn, batch)
        residual = jax.grad(loss_of)(logits_of(params))
        ahead = shifted(apply_fn, strength, normalize(gradient)[0])
        # Not by vjp: logits at θ + ρ ĝ may be more precise than the residual.
        direction = jax.grad(lambda p: dot(residual, ahead(p, batch[0])[0]))(params)
        return Update(direction, state, loss)

    return in_groups(method, m, execution)


def _ascent(along: Callable[[Params, Params], Params]) -> Method:
    """The method whose direction is ∇L(θ + ρ d), d = ``along(θ, ∇L(θ))``."""

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, gradient = loss_and_gradient(apply_fn, loss_fn, params, batch)
        ahead = shifted(apply_fn, strength, along(params, gradient))
        _, _, direction = loss_and_gradient(ahead, loss_fn, params, batch)
        return Update(direction, state, loss)

    return method
