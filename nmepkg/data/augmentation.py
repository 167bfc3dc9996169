"""Augmentation on the device, part of the compiled step: images are varied as they are taken from the set, in one gather."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def none(images: Array, indices: Array, key: Array) -> Array:
    """``images[indices]``: examples as they are, (B, …). ``key`` is not used."""
    return images[indices]


def pad_crop_flip(images: Array, indices: Array, key: Array, *, padding: int, flip: bool) -> Array:
    """Images shifted by up to ``padding`` pixels along each axis, the rest by reflection, and half of them mirrored.

    The same as padding by reflection, cropping at random to the former size, and flipping left to right at random (Zagoruyko &
    Komodakis 2016), but no padded image is ever made: each pixel is fetched from where it lies.

    Args:
      images: (N, H, W, C), the whole set.
      indices: (B,) those to take.
      key: PRNG key.
      padding: below H and W.
      flip: whether to mirror.

    Returns:
      (B, H, W, C), of the type of ``images``.
    """
    shift_key, flip_key = jax.random.split(key)
    count, (height, width) = len(indices), images.shape[1:3]
    shifts = jax.random.randint(shift_key, (2, count, 1), -padding, padding + 1)
    rows = _reflected(jnp.arange(height) + shifts[0], height)
    columns = _reflected(jnp.arange(width) + shifts[1], width)
    if flip:
        mirrored = jax.random.bernoulli(flip_key, shape=(count, 1))
        columns = jnp.where(mirrored, columns[:, ::-1], columns)
    return images[indices[:, None, None], rows[:, :, None], columns[:, None, :]]


def _reflected(places: Array, size: int) -> Array:
    """Places before 0 and beyond the last, mirrored at those two: −1 is 1."""
    return size - 1 - jnp.abs(size - 1 - jnp.abs(places))
