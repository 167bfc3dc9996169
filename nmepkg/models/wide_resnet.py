"""Wide residual networks for small images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
from jax import Array

from nmepkg.models.layers import at_least_float32, batch_norm, convolution


class WideResNet(nn.Module):
    """WRN-d-k (Zagoruyko & Komodakis 2016), without dropout: pre-activation residual blocks on images.

    A 3×3 convolution to 16 channels; then three stages of (d − 4)/6 blocks of 16k, 32k and 64k channels, the first block of
    the second and third at stride 2; then normalisation, activation, the mean over positions and a dense head. A block is
    norm → φ → conv → norm → φ → conv, 3×3 each and the first of the two with the stride, added to its input, or to a 1×1
    convolution of the first φ where the shape changes. Kernels start He-normal; convolutions have no bias.

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      depth: d = 6n + 4 convolutions in a row, those of the shortcuts not counted.
      width: k.
      dtype: compute type; None: that of inputs and parameters. Parameters are float32 and logits at least that.
    """

    classes: int
    activation: Callable[[Array], Array]
    depth: int
    width: int
    dtype: Any = None

    def setup(self) -> None:
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(f"the depth of a wide residual network must be 10, 16, 22, … = 6n + 4, not {self.depth}")

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of images (B, H, W, channels)."""
        norm = batch_norm(train, self.dtype)
        conv = partial(convolution, kernel_init=nn.initializers.he_normal(), dtype=self.dtype)

        x = conv(16, 3)(x)
        for stage in range(3):
            channels = 16 * self.width * 2**stage
            for block in range((self.depth - 4) // 6):
                stride = 2 if stage and not block else 1
                y = self.activation(norm()(x))
                shortcut = x if stride == 1 and x.shape[-1] == channels else conv(channels, 1, stride)(y)
                y = conv(channels, 3, stride)(y)
                y = conv(channels, 3)(self.activation(norm()(y)))
                x = shortcut + y
        x = self.activation(norm()(x)).mean(axis=(1, 2))
        logits = nn.Dense(self.classes, kernel_init=nn.initializers.he_normal(), dtype=self.dtype)(x)
        return at_least_float32(logits)
