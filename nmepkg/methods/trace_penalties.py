"""Penalties on the trace of the Hessian and of its parts, L + σ² tr A, by Hutchinson's estimate tr A ≈ vᵀA v.

v is a probe, E v vᵀ = I, held constant while vᵀA(θ) v is differentiated. With the Taylor coefficients of the logits along v,
z(θ + t v) = z + t z₁ + ½ t² z₂ + …, and the residual r = ∇_z L,

    vᵀG v = z₁ᵀ H_z z₁,    vᵀN v = r · z₂,    vᵀH v = vᵀG v + vᵀN v = d²/dt² L(θ + t v).

With ``probe="basis"`` in place of random probes, tr A = Σ_i e_iᵀA e_i over all basis vectors, to rounding.

Source: paper, sections 2 and 5; Hutchinson (1990).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from nmepkg import curvature
from nmepkg.curvature import probes
from nmepkg.curvature.jaxprs import reverse_only
from nmepkg.curvature.types import Key, LogitsFn, LossFn, Params
from nmepkg.curvature.vectors import dot, single
from nmepkg.errors import UserError
from nmepkg.methods.base import (
    ApplyFn,
    Batch,
    LabelledLossFn,
    Method,
    Update,
    add_scaled,
    loss_and_gradient,
    on_batch,
)
from nmepkg.methods.limits import BASIS, MOST_PARAMETERS
from nmepkg.methods.parts import HERE, Execution, add_mean_of_draws, in_groups

Part = Literal["H", "G", "N"]
CHUNK = 64  # basis vectors that are taken at once

# (logits_fn, loss_fn, params, v) -> ∇_θ vᵀA(θ) v, with functions of the parameters and of the logits alone
Gradient = Callable[[LogitsFn, LossFn, Params, Params], Params]


def _hessian(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """∇ vᵀH v = d²/dt² ∇L(θ + t v), two nested forward modes over the gradient.

    Their two first-order tangents are equal, and the compiler folds them into one, as nothing here is transposed afterwards:
    4.6 gradients in arithmetic, where the gradient of d²/dt² L(θ + t v) takes 5.9.
    """

    def along(params: Params) -> Params:
        return jax.jvp(jax.grad(lambda p: loss_fn(logits_fn(p))), (params,), (v,))[1]

    return jax.jvp(along, (params,), (v,))[1]


def _gauss_newton(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """∇ z₁ᵀ H_z z₁, one reverse mode over one forward mode."""

    def form(params: Params) -> Array:
        z, z1 = jax.jvp(logits_fn, (params,), (v,))
        return dot(z1, jax.jvp(jax.grad(loss_fn), (z,), (z1,))[1])

    return jax.grad(form)(params)


def _nme(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, v: Params) -> Params:
    """∇ r · z₂ = ∇ vᵀH' v + Jᵀ H_z z₂, with H' the Hessian of the loss ⟨r, z⟩ whose r is constant, and r's own change.

    So the first term is as cheap as that of the whole Hessian, and shares its passes with the second.
    """
    (z, _), (_, z2) = jax.jvp(lambda p: jax.jvp(logits_fn, (p,), (v,)), (params,), (v,))
    residual, change = jax.jvp(jax.grad(loss_fn), (z,), (z2,))
    (through_residual,) = jax.vjp(logits_fn, params)[1](change)
    curved = _hessian(logits_fn, lambda z: dot(residual, z), params, v)
    return jax.tree.map(jnp.add, curved, through_residual)


_FORMS: dict[Part, tuple[Gradient, Gradient]] = {
    "H": (_hessian, curvature.hvp),
    "G": (_gauss_newton, curvature.gnvp),
    "N": (_nme, curvature.nmevp),
}


def _trace_penalty(part: Part, samples: int, probe: str, m: int | None, execution: Execution, sign: int = 1) -> Method:
    """The method whose direction is ∇L ± σ² times the mean over ``samples`` probes v of ∇ vᵀA v, A = ``part``.

    Of the probe ``basis`` it is the sum over all basis vectors.
    """
    gradient, product = _FORMS[part]
    if probe == BASIS and samples != 1:
        raise ValueError(f"a trace that is summed over all basis vectors is exact: samples must be 1, not {samples}")

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, clean = loss_and_gradient(apply_fn, loss_fn, params, batch)
        logits_of, loss_of = on_batch(apply_fn, loss_fn, batch)

        def along(params: Params, v: Params) -> Params:
            """∇ vᵀA v."""
            if reverse_only(lambda p: loss_of(logits_of(p)), params):  # the reverse mode of ⟨v, A v⟩
                return jax.grad(lambda p: dot(v, product(logits_of, loss_of, p, v)))(params)
            return gradient(logits_of, loss_of, params, v)

        def draw(params: Params, key: Key) -> Params:
            return along(params, probes.draw(key, params, probe))

        if probe == BASIS:
            direction = add_scaled(clean, sign * strength, sum_over_basis(lambda v: along(params, v), params))
        else:
            direction = add_mean_of_draws(clean, sign * strength, draw, params, key, samples, execution.unroll)
        return Update(direction, state, loss)

    return in_groups(method, m, execution)


def sum_over_basis(function: Callable[[Params], Params], like: Params, chunk: int = CHUNK) -> Params:
    """Σ_i function(e_i) over all basis vectors e_i, of the types of ``like``, in a loop over ``chunk`` of them at a time.

    Args:
      function: 0 at 0; of vectors of the structure, shapes and types of ``like``, to such.
      like: a pytree of P entries in all.
      chunk: memory grows with chunk · P.

    Raises:
      UserError: P is more than :data:`nmepkg.methods.limits.MOST_PARAMETERS`.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg.methods.trace_penalties import sum_over_basis
      >>> sum_over_basis(lambda v: 2 * v, jnp.zeros(3)).tolist()
      [2.0, 2.0, 2.0]
    """
    flat, unravel = ravel_pytree(like)
    if flat.size > MOST_PARAMETERS:
        raise UserError(
            f"probe: {BASIS} takes a pass for each parameter of a model, {MOST_PARAMETERS} at most, and this one has "
            f"{flat.size}; take another probe or a smaller model"
        )

    def add(total: Params, start: Array) -> tuple[Params, None]:
        # Beyond P they are 0.
        units = jax.nn.one_hot(start + jnp.arange(chunk), flat.size, dtype=flat.dtype)
        found = jax.vmap(lambda unit: function(unravel(unit)))(units)
        return jax.tree.map(lambda t, x: t + jnp.sum(x, axis=0, dtype=t.dtype), total, found), None

    nothing = jax.tree.map(lambda leaf: jnp.zeros_like(single(leaf)), like)
    total, _ = jax.lax.scan(add, nothing, jnp.arange(0, flat.size, chunk))
    return jax.tree.map(lambda t, leaf: t.astype(jnp.result_type(leaf)), total, like)


def hessian_trace(
    *, samples: int = 1, probe: str = "gaussian", m: int | None = None, execution: Execution = HERE
) -> Method:
    """direction = ∇(L + σ² mean vᵀH v) over ``samples`` probes, with strength σ².

    Args:
      samples: k ≥ 1 probes, taken one after another: memory does not grow with k.
      probe: ``gaussian`` or ``rademacher``; or ``basis``, the trace itself as the sum over all basis vectors, with samples = 1.
        A step then takes 4 gradients a parameter or so, for MLPs of at most 20,000: convolutions are slow in its loop on a CPU.
      m: examples of a group that has probes of its own; see :func:`nmepkg.methods.parts.in_groups`.
      execution: how parts are taken.

    Raises:
      ValueError: by the method; samples < 1, or there is no such probe. Of ``basis``, samples other than 1.
      UserError: by the method; of ``basis``, the model has too many parameters.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> method = methods.hessian_trace(probe="rademacher")
      >>> update = method(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # ∇(½θ⁴ + σ² tr H), with tr H = 6θ²
      8.0
    """
    return _trace_penalty("H", samples, probe, m, execution)


def gn_trace_hutchinson(
    *, samples: int = 1, probe: str = "gaussian", m: int | None = None, execution: Execution = HERE
) -> Method:
    """direction = ∇(L + σ² mean vᵀG v) over ``samples`` probes, with strength σ².

    Args:
      samples, probe, m, execution: as of :func:`hessian_trace`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> method = methods.gn_trace_hutchinson(probe="rademacher")
      >>> update = method(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # ∇(½θ⁴ + σ² tr G), with tr G = 4θ²
      6.0
    """
    return _trace_penalty("G", samples, probe, m, execution)


def nme_trace(
    *, samples: int = 1, probe: str = "gaussian", sign: int = 1, m: int | None = None, execution: Execution = HERE
) -> Method:
    """direction = ∇(L ± σ² mean vᵀN v) over ``samples`` probes, with strength σ².

    What the penalty on tr H has beyond that on tr G (the paper names it, and does not run it alone).

    Args:
      sign: 1, or −1 for a penalty on −tr N. The trace of N, unlike that of G, may have either sign.
      samples, probe, m, execution: as of :func:`hessian_trace`.

    Raises:
      ValueError: another sign; or as of :func:`hessian_trace`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta * x) ** 2, None)  # with this batch, L = ½θ⁴
      >>> batch = jnp.ones((1, 1)), jnp.zeros((1, 1))
      >>> method = methods.nme_trace(probe="rademacher")
      >>> update = method(model, losses.mse, jnp.ones(()), batch, jax.random.key(0), 0.5)
      >>> round(float(update.direction), 3)  # ∇(½θ⁴ + σ² tr N), with tr N = 2θ²
      4.0
    """
    if sign not in (1, -1):
        raise ValueError(f"the sign of a penalty is 1 or -1, not {sign}")
    return _trace_penalty("N", samples, probe, m, execution, sign)
