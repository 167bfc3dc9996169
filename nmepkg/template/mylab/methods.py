"""Methods: factories of what a step descends; nmepkg.methods.base has their signature."""

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg.curvature.types import Params
from nmepkg.methods.base import ApplyFn, Batch, LabelledLossFn, Method, State, Update


def tilted() -> Method:
    """The gradient of log mean exp(τ ℓ) / τ over the losses ℓ of examples, which is that of SGD at τ = 0 (Li et al. 2021)."""

    def method(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Array, strength: ArrayLike, /
    ) -> Update:
        inputs, labels = batch

        def objective(params: Params) -> tuple[Array, tuple[State, Array]]:
            logits, state = apply_fn(params, inputs)
            losses = jax.vmap(lambda z, y: loss_fn(z[None], y[None]))(logits, labels)
            weights = jax.lax.stop_gradient(jax.nn.softmax(strength * losses))
            return jnp.sum(weights * losses), (state, jnp.mean(losses))

        gradient, (state, loss) = jax.grad(objective, has_aux=True)(params)
        return Update(gradient, state, loss)

    return method
