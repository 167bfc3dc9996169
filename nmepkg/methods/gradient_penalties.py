"""Gradient penalties L + ρ ‖∇L‖ᵖ, whole and by part of the Hessian.

The gradient of ‖g‖ᵖ, g = ∇L(θ), is p ‖g‖ᵖ⁻¹ H ĝ with ĝ = g/‖g‖: a Hessian-vector product whose vector counts as a
constant. Taken so (and not by differentiating the norm) it costs three gradients in arithmetic, and its two parts
G ĝ and N ĝ can be taken alone, which is the paper's full-NME ablation and its complement.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from nmepkg import curvature
from nmepkg.curvature.types import Key, LogitsFn, LossFn, Params
from nmepkg.curvature.vectors import dot, normalize
from nmepkg.methods.base import (
    ApplyFn,
    Batch,
    LabelledLossFn,
    Method,
    Update,
    add_scaled,
    loss_and_gradient,
    on_batch,
    shifted,
)
from nmepkg.methods.parts import HERE, Execution, in_groups
from nmepkg.methods.precision import in_single, rounds

Product = Callable[[LogitsFn, LossFn, Params, Params], Params]  # (logits_fn, loss_fn, params, v) -> A v


def gradient_penalty(
    *, p: float, product: Product = curvature.hvp, m: int | None = None, execution: Execution = HERE
) -> Method:
    """direction = ∇(L + ρ ‖∇L‖ᵖ) = g + ρ p ‖g‖ᵖ⁻¹ H ĝ, with strength ρ.

    Args:
      p: exponent ≥ 1; static. For p < 1 the penalty is not differentiable where the gradient vanishes.
      product: what takes the place of H v, a part of it say: :func:`nmepkg.curvature.gnvp`.
      m: examples of a group that is penalised by itself; see :func:`nmepkg.methods.parts.in_groups`.
      execution: how parts are taken.

    Raises:
      ValueError: p < 1.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.gradient_penalty(p=2.0)(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # ∇(½θ⁴ + ρ (2θ³)²) = 2θ³ + 24ρ θ⁵
      14.0

    Source: paper, section 2 (p = 1 is PSAM, p = 2 is PUSAM); Barrett & Dherin (2021), Zhao et al. (2022).
    """
    if p < 1:
        raise ValueError(f"the exponent of a gradient penalty must be at least 1, not {p}")

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, gradient = loss_and_gradient(apply_fn, loss_fn, params, batch)
        unit, length = normalize(gradient)
        along = product(*on_batch(apply_fn, loss_fn, batch), params, unit)
        return Update(add_scaled(gradient, strength * p * length ** (p - 1), along), state, loss)

    return in_groups(method, m, execution)


def psam(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """Penalty SAM: direction = g + ρ H ĝ, the gradient of L + ρ ‖∇L‖ and SAM's step to first order in ρ.

    Args:
      m, execution: as of :func:`gradient_penalty`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.psam()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³ + 6ρ θ², as H = 6θ² and ĝ = 1
      5.0

    Source: paper, section 2, whose printed update forgets the ρ.
    """
    return gradient_penalty(p=1.0, m=m, execution=execution)


def pusam(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """Penalty USAM: direction = g + 2ρ H g, the gradient of L + ρ ‖∇L‖². USAM's step to first order has ρ where this has 2ρ.

    Args:
      m, execution: as of :func:`gradient_penalty`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.pusam()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³ + 2ρ H g, with H = 6θ² and g = 2θ³
      14.0

    Source: paper, section 2.
    """
    return gradient_penalty(p=2.0, m=m, execution=execution)


def psam_gn(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """PSAM with the full NME ablated: direction = g + ρ G ĝ. Not the gradient of any function; needs no φ''.

    Args:
      m, execution: as of :func:`gradient_penalty`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.psam_gn()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³ + 4ρ θ², as G = 4θ² and ĝ = 1
      4.0

    Source: paper, section 4.4 (the route that adds a Gauss-Newton-vector product to the update; the penalty
    ‖J(θ̃)ᵀ ∇_z L(z(θ))‖ with its Jacobian held constant has the same gradient).
    """
    return gradient_penalty(p=1.0, product=curvature.gnvp, m=m, execution=execution)


def psam_nme(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """PSAM with the NME alone: direction = g + ρ N ĝ, the complement of :func:`psam_gn`.

    To first order in ρ this is Functional SAM's step (Singh et al. 2025): the Jacobian at θ + ρĝ times ∇_z L at θ.

    Args:
      m, execution: as of :func:`gradient_penalty`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.psam_nme()(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³ + 2ρ θ², as N = 2θ² and ĝ = 1
      3.0
    """
    return gradient_penalty(p=1.0, product=curvature.nmevp, m=m, execution=execution)


def psam_activation_nme(*, m: int | None = None, execution: Execution = HERE) -> Method:
    """PSAM with the part of the NME alone that comes through φ'': direction = g + ρ N_φ ĝ.

    N_φ is what ``φ'' := 0`` takes from N, the activation part of :func:`nmepkg.curvature.split_nmevp`; the rest alone is
    :func:`psam_nme` of a model with φ'' := 0.

    Args:
      m, execution: as of :func:`gradient_penalty`.

    Returns:
      A method whose model gives two logits: (z, z₀), where z₀ is z with φ'' := 0, and whose loss is of such pairs and of z
      alone. As z and z₀ are the same function to first order, N_φ v is the second derivative of ⟨∇_z L, z − z₀⟩ along v.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> flat = lambda theta: jax.lax.stop_gradient(theta) * (2 * theta - jax.lax.stop_gradient(theta))  # θ², with φ'' = 0
      >>> model = lambda theta, x: ((theta**2 * x, flat(theta) * x), None)  # with this batch, L = ½θ⁴
      >>> loss = lambda logits, labels: losses.mse(logits[0], labels)
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.psam_activation_nme()(model, loss, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³ + 2ρ θ², as N = 2θ² and all of it comes from φ''
      3.0
    """
    return gradient_penalty(p=1.0, product=_activation_nmevp, m=m, execution=execution)


def _activation_nmevp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """N_φ v of logits (z, z₀)."""
    residual, _ = jax.grad(loss_fn)(logits_fn(params))
    return curvature.nmevp(
        lambda p: jax.tree.map(jnp.subtract, *logits_fn(p)), lambda difference: dot(residual, difference), params, v
    )


def psam_fd(*, step: float, m: int | None = None, execution: Execution = HERE) -> Method:
    """PSAM by a finite difference: direction = g + ρ (∇L(θ + h ĝ) − ∇L(θ))/h, with h = ``step``.

    It needs no φ'', and sees the bends of a piecewise linear activation that lie within h of θ, which H ĝ by autodiff
    does not. At h = ρ it is SAM.

    Rounding errors of the two gradients are divided by h. Where the model computes in half precision, which would leave nothing
    of their difference, it is taken in float32, by two gradients more.

    Args:
      step: h > 0, a length in parameter space.
      m, execution: as of :func:`gradient_penalty`.

    Raises:
      ValueError: h ≤ 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> update = methods.psam_fd(step=1.0)(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # 2θ³ + ρ (2 (θ + h)³ − 2θ³)/h, as ĝ = 1
      9.0
    """
    if step <= 0:
        raise ValueError(f"the step of a finite difference must be above 0, not {step}")

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        def gradient_at(scale: ArrayLike, v: Params) -> Params:
            return loss_and_gradient(shifted(apply_fn, scale, v), loss_fn, params, batch)[2]

        loss, state, gradient = loss_and_gradient(apply_fn, loss_fn, params, batch)
        unit, _ = normalize(gradient)
        ahead, here = gradient_at, gradient
        if rounds(gradient_at, step, unit):
            ahead = in_single(gradient_at)
            here = ahead(0.0, unit)
        difference = jax.tree.map(jnp.subtract, ahead(step, unit), here)
        return Update(add_scaled(gradient, strength / step, difference), state, loss)

    return in_groups(method, m, execution)
