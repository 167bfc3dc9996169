import jax
import jax.numpy as jnp

from nmepkg.methods.base import Update


def tilted():
    """The gradient of log mean exp(τ ℓ)/τ over examples, which is the mean loss at τ = 0 (Li et al. 2021)."""

    def method(apply_fn, loss_fn, params, batch, key, strength):
        inputs, labels = batch

        def objective(params):
            logits, state = apply_fn(params, inputs)
            losses = jax.vmap(lambda z, y: loss_fn(z[None], y[None]))(logits, labels)
            weights = jax.lax.stop_gradient(jax.nn.softmax(strength * losses))
            return jnp.sum(weights * losses), (state, jnp.mean(losses))

        gradient, (state, loss) = jax.grad(objective, has_aux=True)(params)
        return Update(gradient, state, loss)

    return method
