"""Penalty on the trace of G through labels drawn from the model, L + σ² tr G.

For softmax cross-entropy H_z is the covariance of the residual p − e_ŷ under ŷ ~ Cat(p), p = softmax(z), so

    tr G = E_ŷ B ‖g_ŷ‖²,    g_ŷ = ∇_θ of the mean over the batch of the cross-entropy with the labels ŷ,

with labels drawn independently for each of the B examples (or tokens, where each has a label). The labels' loss is plain
cross-entropy also where training smooths its labels: G is the same matrix.

Source: paper, sections 2 and 5; Martens (2020), section 5, on G as the Fisher information.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg import curvature
from nmepkg.curvature.jaxprs import reverse_only
from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import dot
from nmepkg.losses import cross_entropy
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
from nmepkg.methods.parts import HERE, Execution, add_mean_of_draws, in_groups


def gn_trace(
    *,
    samples: int = 1,
    scale_by_batch: bool = True,
    straight_through: bool = False,
    m: int | None = None,
    execution: Execution = HERE,
) -> Method:
    """direction = ∇(L + σ² mean B ‖g_ŷ‖²) = ∇L + σ² mean 2B H_ŷ g_ŷ, with strength σ² and H_ŷ the Hessian of the labels' loss.

    The labels count as constants, as in the paper: this leaves out how p changes the draw, so that the direction's mean
    is not exactly σ² ∇ tr G, though the penalty's is σ² tr G.

    Args:
      samples: k ≥ 1 draws of all labels, taken one after another: memory does not grow with k.
      scale_by_batch: the factor B. Without it the penalty estimates tr(G)/B.
      straight_through: differentiates through the labels as if they were p: ŷ + p − (p held constant). The residual p − ŷ is
        then a constant, and H_ŷ becomes N_ŷ: direction = ∇L + σ² mean 2B N_ŷ g_ŷ.
      m: examples of a group that has draws of its own; see :func:`nmepkg.methods.parts.in_groups`.
      execution: how parts are taken.

    Raises:
      ValueError: by the method; samples < 1.

    Example:
      Logits (θ² − 1, 0), so that at θ = 1, where p = ½, ∇L = −1, and g_ŷ = ∓1 and N_ŷ = ∓1 for the two labels:

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta**2 - x) * jnp.array([1.0, 0.0]), None)  # with this batch, p = ½ at θ = 1
      >>> batch = jnp.ones((1, 1)), jnp.array([0])
      >>> method = methods.gn_trace(straight_through=True)
      >>> update = method(model, losses.cross_entropy, jnp.ones(()), batch, jax.random.key(0), 2.0)
      >>> round(float(update.direction), 3)  # −1 + 2σ² N_ŷ g_ŷ, whatever the draw
      3.0
    """
    product = curvature.nmevp if straight_through else curvature.hvp

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, clean = loss_and_gradient(apply_fn, loss_fn, params, batch)

        logits_of, _ = on_batch(apply_fn, loss_fn, batch)

        def draw(params: Params, key: Key) -> Params:
            logits, vjp = jax.vjp(logits_of, params)
            drawn = jax.random.categorical(key, logits)
            (g,) = vjp(jax.grad(cross_entropy)(logits, drawn))
            return product(logits_of, lambda z: cross_entropy(z, drawn), params, g)

        scale = 2 * strength * (jnp.size(batch[1]) if scale_by_batch else 1)
        direction = add_mean_of_draws(clean, scale, draw, params, key, samples, execution.unroll)
        return Update(direction, state, loss)

    return in_groups(method, m, execution)


def gn_trace_exact() -> Method:
    """direction = ∇(L + σ² tr G), with strength σ² and the expectation over labels as a sum over all C classes.

    tr G = 1/B Σ_b Σ_c ‖J_bᵀ a_bc‖²,  a_bc = √p_bc (p_b − e_c), and its gradient 2/B Σ_b Σ_c ∇⟨J_b w_bc, a_bc⟩ with
    w_bc = J_bᵀ a_bc held constant. It takes some 3 B C gradients of single examples, one example after another.

    Raises:
      ValueError: by the method; the model keeps running averages: with BatchNorm a single example has no gradient of its own.
        Or its logits are not (B, C).

    Example:
      Logits (θ² − 1, 0), so that tr G = 4θ² p₁ p₂, and at θ = 1, where p₁ = p₂ = ½ and ∇ p₁ p₂ = 0, ∇L = −1 and ∇ tr G = 2:

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import losses, methods
      >>> model = lambda theta, x: ((theta**2 - x) * jnp.array([1.0, 0.0]), None)  # with this batch, p = ½ at θ = 1
      >>> batch = jnp.ones((1, 1)), jnp.array([0])
      >>> method = methods.gn_trace_exact()
      >>> update = method(model, losses.cross_entropy, jnp.ones(()), batch, jax.random.key(0), 2.0)
      >>> round(float(update.direction), 3)  # −1 + 2σ²
      3.0
    """

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        loss, state, clean = loss_and_gradient(apply_fn, loss_fn, params, batch)
        if jax.tree.leaves(state):
            raise ValueError("an exact trace of G needs a model without running averages, whose examples do not mix")
        inputs, labels = batch
        if jnp.ndim(labels) != 1:
            raise ValueError(
                f"an exact trace of G needs a label for each example, (B,), and they are {jnp.shape(labels)}"
            )

        def one(params: Params, x: Any) -> Array:
            logits: Array = apply_fn(params, jax.tree.map(lambda leaf: leaf[None], x))[0][0]
            return logits

        reverse = reverse_only(one, params, jax.tree.map(lambda leaf: leaf[0], inputs))

        def add_example(total: Params, x: Any) -> tuple[Params, None]:
            own = _example_gradient(lambda p: one(p, x), params, reverse)
            return jax.tree.map(jnp.add, total, own), None

        total, _ = jax.lax.scan(add_example, jax.tree.map(jnp.zeros_like, params), inputs)
        return Update(add_scaled(clean, 2 * strength / len(labels), total), state, loss)

    return method


def _example_gradient(one: Callable[[Params], Array], params: Params, reverse: bool) -> Params:
    """Σ_c ∇⟨J w_c, a_c⟩ of one example, whose logits (C,) are ``one(params)``; in reverse mode alone where ``reverse``."""

    def factors(z: Array) -> Array:
        """(C, C), rows a_c."""
        p = jax.nn.softmax(z)
        return jnp.exp(jax.nn.log_softmax(z) / 2)[:, None] * (p[None] - jnp.eye(len(z), dtype=z.dtype))

    z, vjp = jax.vjp(one, params)
    rows = jax.vmap(lambda a: vjp(a)[0])(factors(z))

    def form(params: Params) -> Array:
        if reverse:  # ⟨J w, a⟩ as ⟨w, Jᵀa⟩
            z, vjp = jax.vjp(one, params)
            return dot(rows, jax.vmap(lambda a: vjp(a)[0])(factors(z)))
        z, along = jax.vmap(lambda w: jax.jvp(one, (params,), (w,)), out_axes=(None, 0))(rows)
        return dot(along, factors(z))

    return jax.grad(form)(params)
