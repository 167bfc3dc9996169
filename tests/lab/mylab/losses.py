import jax
import jax.numpy as jnp


def brier(logits, labels):
    """½ ‖p − onehot(y)‖², the mean over examples."""
    p = jax.nn.softmax(logits)
    return 0.5 * jnp.mean(jnp.sum(jnp.square(p - jax.nn.one_hot(labels, p.shape[-1])), axis=-1))
