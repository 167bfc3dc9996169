"""Weight noise: the gradient at randomly perturbed parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from nmepkg.curvature import parameters, probes
from nmepkg.curvature.types import Key, Params
from nmepkg.methods.base import ApplyFn, Batch, LabelledLossFn, Method, Update, loss_and_gradient, shifted
from nmepkg.methods.parts import HERE, Execution, in_groups


def weight_noise(
    *, antithetic: bool = False, normalization: bool = True, m: int | None = None, execution: Execution = HERE
) -> Method:
    """direction = ∇L(θ + σε), ε ~ N(0, I), with strength σ²: an unbiased gradient of E_ε L(θ + σε).

    To second order E_ε L(θ + σε) = L + ½ σ² tr H (Taylor; the paper prints σ² tr H).

    Args:
      antithetic: the mean of the gradients at θ + σε and θ − σε, which are rid of the odd terms H ε, … of the noise, at twice
        the cost.
      normalization: whether the scales and biases of normalisation layers get noise too; see
        :func:`nmepkg.curvature.parameters.normalizes`.
      m: examples of a group that has noise of its own; see :func:`nmepkg.methods.parts.in_groups`.
      execution: how parts are taken.

    Example:
      L = ½‖θ‖² at θ = 0, where direction = σε, of standard deviation σ = 2:

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import methods
      >>> model, loss = lambda theta, x: (theta, None), lambda z, y: z @ z / 2
      >>> update = methods.weight_noise()(model, loss, jnp.zeros(10_000), (None, None), jax.random.key(0), 4.0)
      >>> round(float(update.direction.std()), 1)
      2.0

    Source: paper, section 2; An (1996).
    """

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        inputs, labels = batch
        logits, state = apply_fn(params, inputs)
        noise = probes.draw(key, params, "gaussian")
        if not normalization:
            noise = jax.tree_util.tree_map_with_path(
                lambda path, leaf: jnp.zeros_like(leaf) if parameters.normalizes(path) else leaf, noise
            )
        scale = jnp.sqrt(strength)
        _, _, direction = loss_and_gradient(shifted(apply_fn, scale, noise), loss_fn, params, batch)
        if antithetic:
            _, _, other = loss_and_gradient(shifted(apply_fn, -scale, noise), loss_fn, params, batch)
            direction = jax.tree.map(lambda x, y: (x + y) / 2, direction, other)
        return Update(direction, state, loss_fn(logits, labels))

    return in_groups(method, m, execution)
