import jax
import jax.numpy as jnp


def weights(problem):
    def measure(params, context, key):
        return {"norm_of_weights": float(jnp.sqrt(sum(jnp.sum(jnp.square(x)) for x in jax.tree.leaves(params))))}

    return measure
