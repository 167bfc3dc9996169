from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp


class TwoHalves(nn.Module):
    """A layer of which one half is activated, and one is not."""

    classes: int
    activation: Callable[[Any], Any]
    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, train):
        halves = [nn.Dense(self.width // 2)(x.reshape(len(x), -1)) for _ in range(2)]
        return nn.Dense(self.classes)(jnp.concatenate([self.activation(halves[0]), halves[1]], axis=-1))
