"""What the models share: normalisation, convolutions of images, and the type of logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array


def batch_norm(train: bool, dtype: Any) -> Callable[..., nn.BatchNorm]:
    """Makes layers of BatchNorm, with running averages of momentum 0.9 and ε = 1e-5.

    They normalise with the statistics of the batch when ``train``; which pass feeds the averages is the method's business
    (see ``nmepkg.methods.base``). The variance is that of differences from the mean: E[x²] − E[x]², Flax's default, cancels
    where features lie far from 0, and its derivatives with it.

    Args:
      train: mode of the pass.
      dtype: compute type. Statistics are taken in float32 at least.
    """
    return partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, dtype=dtype, use_fast_variance=False)


def layer_norm(dtype: Any) -> nn.LayerNorm:
    """LayerNorm with ε = 1e-6. Statistics are taken in float32 at least, the variance as in :func:`batch_norm`."""
    return nn.LayerNorm(dtype=dtype, use_fast_variance=False)


def convolution(channels: int, size: int, stride: int = 1, *, kernel_init: Callable[..., Array], dtype: Any) -> nn.Conv:
    """A ``size``×``size`` convolution of images (B, H, W, C) without bias, with ⌊size/2⌋ zeros on every side.

    At stride 2 Flax's "SAME" pads an even image at its far side alone; He et al. and all their followers pad both sides.

    On a CPU a 1×1 convolution is written as the product of matrices that it is: see :func:`_pointwise`.
    """
    return nn.Conv(
        channels,
        (size, size),
        stride,
        padding=size // 2,
        use_bias=False,
        kernel_init=kernel_init,
        dtype=dtype,
        conv_general_dilated=_pointwise if size == 1 and jax.default_backend() == "cpu" else None,
    )


def _pointwise(x: Array, kernel: Array, strides: Sequence[int], padding: Any, **options: Any) -> Array:
    """A 1×1 convolution without padding, with the signature of ``jax.lax.conv_general_dilated``: (B·H·W, I) @ (I, O).

    For the gradient of a convolution, or of a product of more axes, XLA copies whole activations transposed on a CPU: a quarter
    of ResNet-50's step.
    """
    down, right = strides
    x = x[:, ::down, ::right]
    pixels = x.reshape(-1, x.shape[-1])
    return jnp.dot(pixels, kernel[0, 0], precision=options["precision"]).reshape(*x.shape[:-1], -1)


def at_least_float32(logits: Array) -> Array:
    """Logits for a loss: those of bfloat16 computations as float32, others as they are."""
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
