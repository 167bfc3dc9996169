"""Residual networks with bottlenecks for large images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
from jax import Array

from nmepkg.models.layers import at_least_float32, batch_norm, convolution


class ResNet(nn.Module):
    """ResNet of bottlenecks (He et al. 2016, "Deep residual learning"), as torchvision lays it out: ResNet-50 by default.

    A 7×7 convolution at stride 2 to ``width`` channels → norm → φ → the maximum of 3×3 at stride 2; then stage i has
    ``blocks[i]`` blocks of c = ``width``·2ⁱ channels, the first block of every stage but the first at stride 2; then the mean
    over positions and a dense head. A block is conv 1×1 to c → norm → φ → conv 3×3, with the stride → norm → φ → conv 1×1 to
    4c → norm, added to its input, or to a normalised 1×1 convolution of it in the first block of a stage; then φ.

    Kernels start He-normal by fan-out, the head's with deviation 0.01; convolutions have no bias. The last scale of a block
    starts at zero, so that the block starts as its shortcut and φ (Goyal et al. 2018, section 5.1).

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      blocks: blocks of each stage.
      width: channels of the first convolution, and inside the bottlenecks of the first stage.
      dtype: compute type; None: that of inputs and parameters. Parameters are float32 and logits at least that.
    """

    classes: int
    activation: Callable[[Array], Array]
    blocks: Sequence[int] = (3, 4, 6, 3)
    width: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of images (B, H, W, channels)."""
        norm = batch_norm(train, self.dtype)
        he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
        conv = partial(convolution, kernel_init=he_normal, dtype=self.dtype)
        zero = nn.initializers.zeros

        x = self.activation(norm()(conv(self.width, 7, 2)(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))  # padded with −∞
        for stage, blocks in enumerate(self.blocks):
            channels = self.width * 2**stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                y = self.activation(norm()(conv(channels, 1)(x)))
                y = self.activation(norm()(conv(channels, 3, stride)(y)))
                y = norm(scale_init=zero)(conv(4 * channels, 1)(y))
                x = self.activation(y + (x if block else norm()(conv(4 * channels, 1, stride)(x))))
        head = nn.Dense(self.classes, kernel_init=nn.initializers.normal(0.01), dtype=self.dtype)
        return at_least_float32(head(x.mean(axis=(1, 2))))
