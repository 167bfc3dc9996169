"""Hessian-, Gauss-Newton- and NME-vector products.

With logits z(θ), loss L(z), Jacobian J = ∂z/∂θ, residual r = ∇_z L and H_z = ∂²L/∂z², the Hessian of θ ↦ L(z(θ)) is

    H = G + N,    G = Jᵀ H_z J    (Gauss-Newton),    N = Σ_i r_i ∇²_θ z_i    (Nonlinear Modeling Error).

G and N exist only where model and loss are apart, so everything here takes the two as functions:
``logits_fn(params) -> logits`` and ``loss_fn(logits) -> scalar``. Any differentiable JAX function of any pytree will do.

Source: paper, section 2; Schraudolph (2002) for G v; Pearlmutter (1994) for H v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import Partial

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
    """The model linearised at one θ: values there, and linear maps of vectors of θ's structure.

    A pytree: the maps are ``jax.tree_util.Partial``, whose leaves are the intermediate values that they need, so that a
    compiled function may return them.

    Attributes:
      logits, loss, gradient: at θ.
      hvp, gnvp, nmevp: v ↦ H v, G v, N v.
      parts: v ↦ (G v, N v), whose passes in forward mode are one: 8 products of matrices a layer where G v takes 4 and
        N v takes 6 (and a gradient 3).
    """

    logits: Array
    loss: Array
    gradient: Params
    hvp: LinearMap
    gnvp: LinearMap
    nmevp: LinearMap
    parts: Callable[[Params], tuple[Params, Params]]


def linearize(logits_fn: LogitsFn, loss_fn: LossFn, params: Params) -> Products:
    """Linearises once, for products with many vectors: see :func:`map_vectors`.

    Call it inside ``jax.jit`` and return only what you use: the rest is then never computed. Memory is that of the
    intermediate values of the gradient and its linearisation, whatever the number of vectors.

    Args:
      logits_fn, loss_fn, params: as of :func:`hvp`.
    """
    logits, jvp = jax.linearize(logits_fn, params)
    loss, loss_vjp = jax.vjp(loss_fn, logits)
    (residual,) = loss_vjp(jnp.ones_like(loss))
    (gradient,) = jax.linear_transpose(jvp, params)(residual)
    _, loss_hvp = jax.linearize(jax.grad(loss_fn), logits)
    _, hvp = jax.linearize(jax.grad(lambda p: loss_fn(logits_fn(p))), params)

    def logits_and_slope(params: Params) -> tuple[Array, Params]:
        logits, vjp = jax.vjp(logits_fn, params)
        return logits, vjp(residual)[0]

    _, both = jax.linearize(logits_and_slope, params)  # v ↦ (J v, N v)
    return Products(
        logits,
        loss,
        gradient,
        hvp,
        Partial(_gauss_newton, jvp, loss_hvp),
        Partial(_second, both),
        Partial(_parts, both, loss_hvp),
    )


def map_vectors(linear_map: LinearMap, vectors: Iterable[Params]) -> Iterator[Params]:
    """A v for every v, one after another, by one compiled program: as much memory for a thousand vectors as for one.

    On a CPU, G v takes 1.3 gradients and H v 1.5 to 2 (``benchmarks/products.py``). ``jax.lax.map`` puts convolutions
    inside a loop, where XLA's code for the CPU is ten times slower, and ``jax.vmap`` keeps the intermediate values of all
    vectors at once. Results come before they are computed: wait for the last one before reading a clock.

    Args:
      linear_map: a map of :class:`Products`, returned from a compiled function:
        ``jax.jit(lambda params: linearize(logits_fn, loss_fn, params).hvp)(params)``. Any ``jax.tree_util.Partial`` will
        do.
      vectors: of θ's structure, shapes and types. A generator is drawn from as it goes.
    """
    for v in vectors:
        yield _apply(linear_map, v)


@jax.jit
def _apply(linear_map: LinearMap, v: Params) -> Params:
    return linear_map(v)


def _gauss_newton(jvp: LinearMap, loss_hvp: LinearMap, v: Params) -> Params:
    return jax.linear_transpose(jvp, v)(loss_hvp(jvp(v)))[0]


def _second(both: Callable[[Params], tuple[Array, Params]], v: Params) -> Params:
    return both(v)[1]


def _parts(both: Callable[[Params], tuple[Array, Params]], loss_hvp: LinearMap, v: Params) -> tuple[Params, Params]:
    along, nme = both(v)
    return jax.linear_transpose(lambda v: both(v)[0], v)(loss_hvp(along))[0], nme
