"""Hessian-, Gauss-Newton- and NME-vector products.

With logits z(θ), loss L(z), Jacobian J = ∂z/∂θ, residual r = ∇_z L and H_z = ∂²L/∂z², the Hessian of θ ↦ L(z(θ)) is

    H = G + N,    G = Jᵀ H_z J    (Gauss-Newton),    N = Σ_i r_i ∇²_θ z_i    (Nonlinear Modeling Error).

G and N exist only where model and loss are apart, so everything here takes the two as functions:
``logits_fn(params) -> logits`` and ``loss_fn(logits) -> scalar``. Any differentiable JAX function of any pytree of real numbers
will do, and logits may be a pytree too. Where a function has a ``jax.custom_vjp``, products take reverse mode alone, and the
symmetry of H and N for granted.

Source: paper, section 2; Schraudolph (2002) for G v; Pearlmutter (1994) for H v.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from nmepkg.curvature.jaxprs import reverse_only
from nmepkg.curvature.types import LinearMap, Logits, LogitsFn, LossFn, Params, Scalar
from nmepkg.curvature.vectors import dot, refuse_complex


def hvp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """H v, as the gradient of the directional derivative θ ↦ ⟨∇L(z(θ)), v⟩.

    Reverse over forward mode is the fastest order for one vector; for many, see :func:`linearize`.

    Args:
      logits_fn: parameters to logits.
      loss_fn: logits to a scalar.
      params: θ, a pytree.
      v: a vector, of θ's structure, shapes and types.

    Raises:
      TypeError: a parameter is complex, or v is not of θ's structure, shapes and types.

    Example:
      z = θ₁ θ₂ and L = ½ z², so that H = ((θ₂², 2θ₁θ₂), (2θ₁θ₂, θ₁²)):

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> theta, v = jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])
      >>> curvature.hvp(lambda p: p[0] * p[1], lambda z: z**2 / 2, theta, v).tolist()
      [4.0, 4.0]
    """
    refuse_complex(params)
    return _hessian_product(lambda p: loss_fn(logits_fn(p)), params, v)


def gnvp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """G v = Jᵀ H_z J v. Needs no second derivative of the model.

    Args:
      logits_fn, loss_fn, params, v: as of :func:`hvp`.

    Example:
      z = θ₁ θ₂ and L = ½ z², so that J = (θ₂, θ₁) and G = JᵀJ; G v and N v are the parts of H v:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> theta, v = jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])
      >>> curvature.gnvp(lambda p: p[0] * p[1], lambda z: z**2 / 2, theta, v).tolist()
      [4.0, 2.0]
    """
    refuse_complex(params)
    logits, jvp = _linearized(logits_fn, params, reverse_only(logits_fn, params))
    _, loss_hvp = _linearized(jax.grad(loss_fn), logits, reverse_only(loss_fn, logits))
    return _gauss_newton(jvp, loss_hvp, v)


def nmevp(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """N v, as the Hessian product of θ ↦ ⟨r, z(θ)⟩ with the residual r = ∇_z L held constant.

    Args:
      logits_fn, loss_fn, params, v: as of :func:`hvp`.

    Example:
      z = θ₁ θ₂ and L = ½ z², so that r = z and N = z ((0, 1), (1, 0)). A linear model has none:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> theta, v = jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])
      >>> curvature.nmevp(lambda p: p[0] * p[1], lambda z: z**2 / 2, theta, v).tolist()
      [0.0, 2.0]
      >>> curvature.nmevp(lambda p: p[0] + p[1], lambda z: z**2 / 2, theta, v).tolist()
      [0.0, 0.0]
    """
    refuse_complex(params)
    residual = jax.grad(loss_fn)(logits_fn(params))
    return _hessian_product(lambda p: dot(residual, logits_fn(p)), params, v)


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

    Example:
      z = θ₂ φ(θ₁) with φ(x) = x², and L = ½ z², so that at θ = (1, 1) N = ((φ'', φ'), (φ', 0)) = ((2, 2), (2, 0)):

      >>> import jax.numpy as jnp
      >>> from nmepkg import activations, curvature
      >>> ablated = activations.replace_second_derivative(jnp.square, activations.zero)
      >>> models = [lambda p, phi=phi: p[1] * phi(p[0]) for phi in (jnp.square, ablated)]
      >>> parts = curvature.split_nmevp(*models, lambda z: z**2 / 2, jnp.ones(2), jnp.array([1.0, 0.0]))
      >>> [part.tolist() for part in parts]
      [[2.0, 0.0], [0.0, 2.0]]
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

    logits: Logits
    loss: Scalar
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

    Example:
      z = θ₁ θ₂ and L = ½ z², where H v = G v + N v:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> at = curvature.linearize(lambda p: p[0] * p[1], lambda z: z**2 / 2, jnp.array([1.0, 2.0]))
      >>> float(at.loss), at.gradient.tolist()
      (2.0, [4.0, 2.0])
      >>> [product(jnp.array([1.0, 0.0])).tolist() for product in (at.hvp, at.gnvp, at.nmevp)]
      [[4.0, 4.0], [4.0, 2.0], [0.0, 2.0]]
    """
    refuse_complex(params)
    model_reverse = reverse_only(logits_fn, params)
    logits, jvp = _linearized(logits_fn, params, model_reverse)
    loss_reverse = reverse_only(loss_fn, logits)
    loss, loss_vjp = jax.vjp(loss_fn, logits)
    (residual,) = loss_vjp(jnp.ones_like(loss))
    (gradient,) = jax.linear_transpose(jvp, params)(residual)
    _, loss_hvp = _linearized(jax.grad(loss_fn), logits, loss_reverse)
    _, hvp = _linearized(jax.grad(lambda p: loss_fn(logits_fn(p))), params, model_reverse or loss_reverse)

    def logits_and_slope(params: Params) -> tuple[Logits, Params]:
        logits, vjp = jax.vjp(logits_fn, params)
        return logits, vjp(residual)[0]

    _, both = _linearized(logits_and_slope, params, model_reverse)  # v ↦ (J v, N v)
    return Products(
        logits,
        loss,
        gradient,
        Partial(_only, hvp),
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
        ``jax.jit(lambda params: linearize(logits_fn, loss_fn, params).hvp)(params)``. What that function returns at another
        point has the same program. Any other ``jax.tree_util.Partial`` will do. The programs of the last few are kept, so that
        memory does not grow with the number of batches.
      vectors: of θ's structure, shapes and types. A generator is drawn from as it goes.

    Example:
      z = θ₁ θ₂ and L = ½ z², whose H has the columns

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> model, loss = lambda p: p[0] * p[1], lambda z: z**2 / 2
      >>> hessian = jax.jit(lambda p: curvature.linearize(model, loss, p).hvp)(jnp.array([1.0, 2.0]))
      >>> [column.tolist() for column in curvature.map_vectors(hessian, jnp.eye(2))]
      [[4.0, 4.0], [4.0, 1.0]]
    """
    if isinstance(linear_map, Partial) and linear_map.func in (_only, _gauss_newton, _second, _parts):
        program = _program(jax.tree.structure(linear_map))
    else:
        program = _apply
        if _apply._cache_size() >= _KEPT:
            _apply.clear_cache()
    for v in vectors:
        yield program(linear_map, v)


_KEPT = 4  # programs: H, G, N and both parts of one linearisation
_apply: Any = jax.jit(lambda linear_map, v: linear_map(v))


@lru_cache(maxsize=_KEPT)
def _program(structure: Any) -> Any:
    """A program of maps of one structure, a linearisation's, which goes when others have come."""
    return jax.jit(lambda linear_map, v: linear_map(v))


def _hessian_product(function: Callable[[Params], Scalar], params: Params, v: Params) -> Params:
    if reverse_only(function, params):
        return jax.vjp(jax.grad(function), params)[1](v)[0]
    return jax.grad(lambda p: jax.jvp(function, (p,), (v,))[1])(params)


def _linearized(function: Callable[[Params], Any], params: Params, reverse: bool) -> tuple[Any, LinearMap]:
    """(f(θ), v ↦ J v); in reverse mode alone J v is the transpose of u ↦ Jᵀu."""
    if not reverse:
        return jax.linearize(function, params)
    value, vjp = jax.vjp(function, params)
    _, transposed = jax.vjp(lambda u: vjp(u)[0], value)
    return value, Partial(_first, transposed)


def _first(linear_map: Callable[[Params], tuple[Params, ...]], v: Params) -> Params:
    return linear_map(v)[0]


def _only(linear_map: LinearMap, v: Params) -> Params:
    return linear_map(v)


def _gauss_newton(jvp: LinearMap, loss_hvp: LinearMap, v: Params) -> Params:
    return jax.linear_transpose(jvp, v)(loss_hvp(jvp(v)))[0]


def _second(both: Callable[[Params], tuple[Logits, Params]], v: Params) -> Params:
    return both(v)[1]


def _parts(both: Callable[[Params], tuple[Logits, Params]], loss_hvp: LinearMap, v: Params) -> tuple[Params, Params]:
    along, nme = both(v)
    return jax.linear_transpose(lambda v: both(v)[0], v)(loss_hvp(along))[0], nme
