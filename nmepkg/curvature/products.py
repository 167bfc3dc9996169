"""Hessian-, Gauss-Newton- and NME-vector products.

With logits z(θ), loss L(z), Jacobian J = ∂z/∂θ, residual r = ∇_z L and H_z = ∂²L/∂z², the Hessian of θ ↦ L(z(θ)) is

    H = G + N,    G = Jᵀ H_z J    (Gauss-Newton),    N = Σ_i r_i ∇²_θ z_i    (Nonlinear Modeling Error).

G and N exist only where model and loss are apart, so everything here takes the two as functions:
``logits_fn(params) -> logits`` and ``loss_fn(logits) -> scalar``. Any differentiable JAX function of any pytree will do.

Source: paper, section 2; Schraudolph (2002) for G v; Pearlmutter (1994) for H v.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

Params = Any  # a pytree of arrays
LogitsFn = Callable[[Params], Array]
LossFn = Callable[[Array], Array]
LinearMap = Callable[[Params], Params]


def hvp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """H v, as the gradient of the directional derivative θ ↦ ⟨∇L(z(θ)), v⟩.

    Reverse over forward mode is the fastest order for one vector; for many, see :func:`linearize`.

    Args:
      logits_fn: parameters to logits.
      loss_fn: logits to a scalar.
      params: θ, a pytree.
      v: a vector, of θ's structure, shapes and types.
    """

    def slope(params: Params) -> Array:
        return jax.jvp(lambda p: loss_fn(logits_fn(p)), (params,), (v,))[1]

    return jax.grad(slope)(params)


def gnvp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """G v = Jᵀ H_z J v. Arguments as of :func:`hvp`. Needs no second derivative of the model."""
    logits, jvp = jax.linearize(logits_fn, params)
    _, loss_hv = jax.jvp(jax.grad(loss_fn), (logits,), (jvp(v),))
    return jax.linear_transpose(jvp, params)(loss_hv)[0]


def nmevp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """N v = ∇_θ ⟨r, J(θ) v⟩ with the residual r = ∇_z L held constant. Arguments as of :func:`hvp`."""
    residual = jax.grad(loss_fn)(logits_fn(params))

    def slope(params: Params) -> Array:
        return jnp.vdot(residual, jax.jvp(logits_fn, (params,), (v,))[1])

    return jax.grad(slope)(params)


def split_nmevp(
    logits_fn: LogitsFn, ablated_logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params
) -> tuple[Params, Params]:
    """N v in two parts: what comes through the activations' φ'', and the rest.

    The rest is the N v of the same model with φ'' := 0: the cross-layer blocks keep one term that has only φ'
    (paper, section 4.2). Normalisation and products of features, attention say, are part of the rest too.

    Args:
      logits_fn: parameters to logits.
      ablated_logits_fn: the same model with every activation φ made
        ``activations.replace_second_derivative(φ, activations.zero)``.
      loss_fn, params, v: as of :func:`hvp`.

    Returns:
      (activation part, rest); their sum is N v.
    """
    whole = nmevp(logits_fn, loss_fn, params, v)
    rest = nmevp(ablated_logits_fn, loss_fn, params, v)
    return jax.tree.map(jnp.subtract, whole, rest), rest


class Products(NamedTuple):
    """The model linearised at one θ: values there, and maps v ↦ H v, G v, N v that share one forward pass."""

    logits: Array
    loss: Array
    gradient: Params
    hvp: LinearMap
    gnvp: LinearMap
    nmevp: LinearMap


def linearize(logits_fn: LogitsFn, loss_fn: LossFn, params: Params) -> Products:
    """Linearises once, for products with many vectors (map over them, or ``jax.vmap`` the product).

    Call it inside ``jax.jit``: the parts that the caller does not use are then never computed. Memory is that of the
    intermediate values of the gradient and its linearisation, whatever the number of vectors mapped over.

    Args:
      logits_fn, loss_fn, params: as of :func:`hvp`.
    """
    logits, jvp = jax.linearize(logits_fn, params)
    vjp = jax.linear_transpose(jvp, params)
    loss, loss_vjp = jax.vjp(loss_fn, logits)
    (residual,) = loss_vjp(jnp.ones_like(loss))
    (gradient,) = vjp(residual)
    _, loss_hvp = jax.linearize(jax.grad(loss_fn), logits)
    _, hvp = jax.linearize(jax.grad(lambda p: loss_fn(logits_fn(p))), params)
    _, nmevp = jax.linearize(lambda p: jax.vjp(logits_fn, p)[1](residual)[0], params)

    def gnvp(v: Params) -> Params:
        return vjp(loss_hvp(jvp(v)))[0]

    return Products(logits, loss, gradient, hvp, gnvp, nmevp)
