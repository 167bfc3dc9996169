"""A small convolutional network without normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
from jax import Array

from nmepkg.models.layers import at_least_float32


class CNN(nn.Module):
    """3×3 convolutions at stride 2, each → φ, then a dense layer of ``width`` units → φ, and a dense head.

    Kernels start LeCun-normal, biases at zero.

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      channels: of each convolution.
      width: units of the dense layer.
      dtype: compute type; None: that of inputs and parameters. Parameters are float32 and logits at least that.
    """

    classes: int
    activation: Callable[[Array], Array]
    channels: Sequence[int]
    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of images (B, H, W, channels); the same in both modes."""
        for channels in self.channels:
            x = self.activation(nn.Conv(channels, (3, 3), 2, dtype=self.dtype)(x))
        x = self.activation(nn.Dense(self.width, dtype=self.dtype)(x.reshape(len(x), -1)))
        return at_least_float32(nn.Dense(self.classes, dtype=self.dtype)(x))
