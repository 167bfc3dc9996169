"""A small pre-activation residual network for signals in one dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
from jax import Array

from nmepkg.models.layers import at_least_float32, batch_norm


class ResNet1D(nn.Module):
    """Stages of pre-activation residual blocks (He et al. 2016, "Identity mappings") with 1-D convolutions.

    A convolution to ``width`` channels; then stage i has ``blocks[i]`` blocks of ``width``·2ⁱ channels, the first block of
    every stage but the first at stride 2; then normalisation, activation, the mean over positions and a dense head. A
    block is norm → φ → conv → norm → φ → conv, added to its input, or to a 1×1 convolution of the first φ where the shape
    changes. Kernels start He-normal; convolutions have no bias.

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      width: channels of the first stage.
      blocks: blocks of each stage.
      kernel_size: positions that a convolution sees.
      dtype: compute type; None: that of inputs and parameters. Parameters are float32 and logits at least that.
    """

    classes: int
    activation: Callable[[Array], Array]
    width: int
    blocks: Sequence[int]
    kernel_size: int = 3
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of inputs (B, L) or (B, L, channels)."""
        norm = batch_norm(train, self.dtype)
        conv = partial(nn.Conv, use_bias=False, kernel_init=nn.initializers.he_normal(), dtype=self.dtype)
        size = (self.kernel_size,)

        x = x[..., None] if x.ndim == 2 else x
        x = conv(self.width, size)(x)
        for stage, blocks in enumerate(self.blocks):
            channels = self.width * 2**stage
            for block in range(blocks):
                strides = 2 if stage and not block else 1
                y = self.activation(norm()(x))
                shortcut = x if strides == 1 and x.shape[-1] == channels else conv(channels, (1,), strides)(y)
                y = conv(channels, size, strides)(y)
                y = conv(channels, size)(self.activation(norm()(y)))
                x = shortcut + y
        x = self.activation(norm()(x)).mean(axis=1)
        logits = nn.Dense(self.classes, kernel_init=nn.initializers.he_normal(), dtype=self.dtype)(x)
        return at_least_float32(logits)
