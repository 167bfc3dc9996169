"""A multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
from jax import Array


class MLP(nn.Module):
    """``depth`` hidden layers of ``width`` units, each dense (→ batch normalisation) → activation, and a dense head.

    Kernels start He-normal, biases at zero. BatchNorm keeps running averages with momentum 0.9 and normalises with the
    statistics of the batch when ``train``; which pass feeds the averages is the method's business (see
    ``nmepkg.methods.base``).

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      width: units of each hidden layer.
      depth: number of hidden layers; 0 is a linear model.
      batch_norm: whether to normalise before each activation.
    """

    classes: int
    activation: Callable[[Array], Array]
    width: int
    depth: int
    batch_norm: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of inputs (B, …)."""
        x = x.reshape(len(x), -1)
        for _ in range(self.depth):
            x = nn.Dense(self.width, kernel_init=nn.initializers.he_normal())(x)
            if self.batch_norm:
                x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = self.activation(x)
        return nn.Dense(self.classes, kernel_init=nn.initializers.he_normal())(x)
