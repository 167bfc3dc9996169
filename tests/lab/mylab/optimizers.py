import optax


def damped(decay, damping):
    """SGD of shorter steps."""
    return optax.chain(decay, optax.scale(1 / (1 + damping)))
