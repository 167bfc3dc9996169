"""A multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
from jax import Array

from nmepkg.models.layers import at_least_float32, batch_norm, layer_norm


class MLP(nn.Module):
    """``depth`` hidden layers of ``width`` units, each dense (→ normalisation) → activation, and a dense head.

    Kernels start He-normal, biases at zero.

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      width: units of each hidden layer.
      depth: number of hidden layers; 0 is a linear model.
      batch_norm: whether to normalise before each activation, each unit over the batch.
      layer_norm: whether to normalise there, each example over its units; not together with ``batch_norm``.
      dtype: compute type; None: that of inputs and parameters. Parameters are float32 and logits at least that.
    """

    classes: int
    activation: Callable[[Array], Array]
    width: int
    depth: int
    batch_norm: bool = False
    layer_norm: bool = False
    dtype: Any = None

    def setup(self) -> None:
        if self.batch_norm and self.layer_norm:
            raise ValueError("an MLP has BatchNorm or LayerNorm, not both")

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of inputs (B, …)."""
        dense = partial(nn.Dense, kernel_init=nn.initializers.he_normal(), dtype=self.dtype)

        x = x.reshape(len(x), -1)
        for _ in range(self.depth):
            x = dense(self.width)(x)
            if self.batch_norm:
                x = batch_norm(train, self.dtype)()(x)
            if self.layer_norm:
                x = layer_norm(self.dtype)(x)
            x = self.activation(x)
        return at_least_float32(dense(self.classes)(x))
