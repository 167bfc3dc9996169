"""Penalty on the trace of G through labels drawn from the model, L + σ² tr G.

For softmax cross-entropy H_z is the covariance of the residual p − e_ŷ under ŷ ~ Cat(p), p = softmax(z), so

    tr G = E_ŷ B ‖g_ŷ‖²,    g_ŷ = ∇_θ of the mean over the batch of the cross-entropy with the labels ŷ,

with labels drawn independently for each of the B examples (or tokens, where each has a label). The labels' loss is plain
cross-entropy also where training smooths its labels: G is the same matrix.

Source: paper, sections 2 and 5; Martens (2020), section 5, on G as the Fisher information.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nmepkg import curvature
from nmepkg.curvature.jaxprs import reverse_only
from nmepkg.curvature.vectors import dot
from nmepkg.losses import cross_entropy
from nmepkg.methods.base import (
    Batch,
    LogitsFn,
    LossFn,
    Params,
    Update,
    add_scaled,
    loss_and_gradient,
    mean_of_draws,
    with_groups,
)


@with_groups
def gn_trace(
    logits_fn: LogitsFn,
    loss_fn: LossFn,
    params: Params,
    batch: Batch,
    key: Array,
    strength: Any,
    *,
    samples: int = 1,
    scale_by_batch: bool = True,
    straight_through: bool = False,
) -> Update:
    """direction = ∇(L + σ² mean B ‖g_ŷ‖²) = ∇L + σ² mean 2B H_ŷ g_ŷ, with strength σ² and H_ŷ the Hessian of the labels' loss.

    The labels count as constants, as in the paper: this leaves out how p changes the draw, so that the direction's mean
    is not exactly σ² ∇ tr G, though the penalty's is σ² tr G.

    Args:
      samples: k ≥ 1 draws of all labels, taken one after another: memory does not grow with k.
      scale_by_batch: the factor B. Without it the penalty estimates tr(G)/B.
      straight_through: differentiates through the labels as if they were p: ŷ + p − (p held constant). The residual p − ŷ is
        then a constant, and H_ŷ becomes N_ŷ: direction = ∇L + σ² mean 2B N_ŷ g_ŷ.
    """
    inputs, labels = batch
    loss, state, clean = loss_and_gradient(logits_fn, loss_fn, params, batch)
    logits, vjp = jax.vjp(lambda params: logits_fn(params, inputs)[0], params)
    product = curvature.nmevp if straight_through else curvature.hvp

    def draw(key: Array) -> Params:
        drawn = jax.random.categorical(key, logits)
        (g,) = vjp(jax.grad(cross_entropy)(logits, drawn))
        return product(lambda params: logits_fn(params, inputs)[0], lambda z: cross_entropy(z, drawn), params, g)

    scale = 2 * strength * (jnp.size(labels) if scale_by_batch else 1)
    return Update(add_scaled(clean, scale, mean_of_draws(draw, key, samples)), state, loss)


def gn_trace_exact(
    logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch, key: Array, strength: Any
) -> Update:
    """direction = ∇(L + σ² tr G), with strength σ² and the expectation over labels as a sum over all C classes.

    tr G = 1/B Σ_b Σ_c ‖J_bᵀ a_bc‖²,  a_bc = √p_bc (p_b − e_c), and its gradient 2/B Σ_b Σ_c ∇⟨J_b w_bc, a_bc⟩ with
    w_bc = J_bᵀ a_bc held constant. It takes some 3 B C gradients of single examples, one example after another.

    Raises:
      ValueError: the model keeps running averages: with BatchNorm a single example has no gradient of its own. Or its logits
        are not (B, C).
    """
    loss, state, clean = loss_and_gradient(logits_fn, loss_fn, params, batch)
    if jax.tree.leaves(state):
        raise ValueError("an exact trace of G needs a model without running averages, whose examples do not mix")

    inputs, labels = batch
    if jnp.ndim(labels) != 1:
        raise ValueError(f"an exact trace of G needs a label for each example, (B,), and they are {jnp.shape(labels)}")

    def one(params: Params, x: Any) -> Array:
        return logits_fn(params, jax.tree.map(lambda leaf: leaf[None], x))[0][0]

    reverse = reverse_only(one, params, jax.tree.map(lambda leaf: leaf[0], inputs))

    def factors(z: Array) -> Array:
        """(C, C), rows a_c."""
        p = jax.nn.softmax(z)
        return jnp.exp(jax.nn.log_softmax(z) / 2)[:, None] * (p - jnp.eye(len(z), dtype=z.dtype))

    def add_example(total: Params, x: Any) -> tuple[Params, None]:
        z, vjp = jax.vjp(lambda params: one(params, x), params)
        rows = jax.vmap(lambda a: vjp(a)[0])(factors(z))

        def form(params: Params) -> Array:
            if reverse:  # ⟨J w, a⟩ as ⟨w, Jᵀa⟩
                z, vjp = jax.vjp(lambda p: one(p, x), params)
                return dot(rows, jax.vmap(lambda a: vjp(a)[0])(factors(z)))
            z, along = jax.vmap(lambda w: jax.jvp(lambda p: one(p, x), (params,), (w,)), out_axes=(None, 0))(rows)
            return dot(along, factors(z))

        return jax.tree.map(jnp.add, total, jax.grad(form)(params)), None

    total, _ = jax.lax.scan(add_example, jax.tree.map(jnp.zeros_like, params), inputs)
    return Update(add_scaled(clean, 2 * strength / len(labels), total), state, loss)
