"""A small vision transformer, of images and of sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jax import Array

from nmepkg.models.layers import at_least_float32, layer_norm


class ViT(nn.Module):
    """Vision transformer (Dosovitskiy et al. 2021) without class token, dropout or any statistics of the batch.

    Images, or sequences, are cut into patches, each mapped linearly to a token of ``width`` features, and a learned embedding
    of its position is added. A layer is x + attention(norm(x)), then x + dense(φ(dense(norm(x)))). After the last, tokens are
    normalised and averaged (Beyer et al. 2022) for a dense head. Normalisation is LayerNorm. φ is in the layers' dense part
    alone: attention has second derivatives of its own.

    Kernels start Glorot-uniform, those of patches and head LeCun-normal, embeddings with deviation 0.02, biases at zero.

    Attributes:
      classes: number of logits.
      activation: elementwise φ.
      patch: side of a patch; divides those of the image, or the length of the sequence.
      depth: number of layers.
      width: features of a token.
      heads: of attention; divides the width.
      mlp_ratio: hidden units of a layer's dense part, in widths.
      dtype: compute type; None: that of inputs and parameters. Parameters are float32 and logits at least that.
    """

    classes: int
    activation: Callable[[Array], Array]
    patch: int
    depth: int
    width: int
    heads: int
    mlp_ratio: int = 4
    dtype: Any = None

    def setup(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads of attention do not divide a width of {self.width}")

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Logits (B, classes) of images (B, H, W, channels) or sequences (B, length); the same in both modes.

        Raises:
          ValueError: the patch does not divide the image or sequence.
        """
        if x.ndim == 2:
            x = x[..., None]  # of one channel
        sides = x.shape[1:-1]
        if any(side % self.patch for side in sides):
            what = "sequences" if len(sides) == 1 else "images"
            raise ValueError(f"patches of {self.patch} do not divide {what} of {'×'.join(map(str, sides))}")
        glorot = nn.initializers.xavier_uniform()

        x = nn.Conv(self.width, [self.patch] * len(sides), self.patch, dtype=self.dtype)(x)
        x = x.reshape(len(x), -1, self.width)
        position = self.param("position", nn.initializers.normal(0.02), x.shape[1:])
        x = x + position.astype(x.dtype)
        for _ in range(self.depth):
            y = layer_norm(self.dtype)(x)
            x = x + nn.MultiHeadDotProductAttention(self.heads, kernel_init=glorot, dtype=self.dtype)(y)
            y = layer_norm(self.dtype)(x)
            y = self.activation(nn.Dense(self.mlp_ratio * self.width, kernel_init=glorot, dtype=self.dtype)(y))
            x = x + nn.Dense(self.width, kernel_init=glorot, dtype=self.dtype)(y)
        x = layer_norm(self.dtype)(x).mean(axis=1)
        return at_least_float32(nn.Dense(self.classes, dtype=self.dtype)(x))
