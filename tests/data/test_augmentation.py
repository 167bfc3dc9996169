"""Augmentation against padding, cropping and flipping done one image at a time in NumPy."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.data.augmentation import none, pad_crop_flip


@cache
def images(shape: tuple[int, ...] = (5, 8, 9, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def crops(image: np.ndarray, padding: int) -> dict[tuple[int, int, bool], np.ndarray]:
    """Every image that may come out of one: (row, column) of the crop in the padded image, and whether it is mirrored."""
    height, width, _ = image.shape
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    cut = {
        (i, j): padded[i : i + height, j : j + width] for i in range(2 * padding + 1) for j in range(2 * padding + 1)
    }
    return {(*place, flip): part[:, ::-1] if flip else part for place, part in cut.items() for flip in (False, True)}


def origin(image: np.ndarray, choices: dict[tuple[int, int, bool], np.ndarray]) -> tuple[int, int, bool]:
    (found,) = (place for place, choice in choices.items() if np.array_equal(choice, image))
    return found


def test_each_image_is_a_crop_of_its_padded_self() -> None:
    indices = jnp.asarray([3, 0, 3, 4])
    made = np.asarray(pad_crop_flip(jnp.asarray(images()), indices, jax.random.key(1), padding=3, flip=True))
    assert made.dtype == np.uint8
    found = [origin(image, crops(images()[i], 3)) for image, i in zip(made, indices.tolist(), strict=True)]
    assert found[0] != found[2]  # the same image twice, each varied by itself


def test_all_shifts_and_flips_are_about_as_frequent() -> None:
    """χ² of 2,000 draws over 5 × 5 places and two orientations: 49 degrees of freedom, 5 σ are 98."""
    draws, image = 2000, images()[:1]
    made = np.asarray(
        pad_crop_flip(jnp.asarray(image), jnp.zeros(draws, jnp.int32), jax.random.key(0), padding=2, flip=True)
    )
    choices = crops(image[0], 2)
    lookup = {choice.tobytes(): place for place, choice in choices.items()}
    assert len(lookup) == 50
    counts = dict.fromkeys(lookup.values(), 0)
    for drawn in made:
        counts[lookup[drawn.tobytes()]] += 1
    assert np.sum((np.array(list(counts.values())) - draws / 50) ** 2 / (draws / 50)) < 98


@pytest.mark.parametrize("flip", [False, True])
def test_without_padding_an_image_stays_or_is_mirrored(flip: bool) -> None:
    indices = jnp.arange(40) % 5
    made = np.asarray(pad_crop_flip(jnp.asarray(images()), indices, jax.random.key(2), padding=0, flip=flip))
    plain = np.asarray(none(jnp.asarray(images()), indices, jax.random.key(2)))
    np.testing.assert_array_equal(plain, images()[np.arange(40) % 5])
    mirrored = [not np.array_equal(a, b) for a, b in zip(made, plain, strict=True)]
    np.testing.assert_array_equal(made[mirrored], plain[mirrored][:, :, ::-1])
    assert any(mirrored) == flip
    assert not all(mirrored)
