"""Views of a photograph, against Pillow on the whole image, and their statistics against what they are drawn from."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL", reason="decodes photographs; install nmepkg[stream]")

from PIL import Image

from nmepkg.data.jpeg import Box, _open, _scaled, centre_crop, random_box, resized_crop_flip
from tests.data.photographs import jpeg


def whole(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file)).convert("RGB")


def boxes(count: int, width: int, height: int, smallest: float = 0.08, aspect: float = 4 / 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray([random_box(width, height, rng, smallest, aspect) for _ in range(count)], np.float64)


def test_areas_are_uniform_and_aspect_ratios_log_uniform() -> None:
    """On an image so large that rounding does not matter, and for parts so small that nearly all of them fit."""
    width, height, count = 60_000, 60_000, 4000
    rng = np.random.default_rng(1)
    drawn = np.asarray([random_box(width, height, rng, 0.08, 4 / 3) for _ in range(count)], np.float64)
    w, h = drawn[:, 2] - drawn[:, 0], drawn[:, 3] - drawn[:, 1]
    area, aspect = w * h / (width * height), np.log(w / h) / np.log(4 / 3)
    fits = area < 0.7  # any ratio up to 4/3 does
    assert 0.08 < area.min() < 0.09
    assert kolmogorov_smirnov((area[fits] - 0.08) / (0.7 - 0.08)) < 0.04
    assert kolmogorov_smirnov((aspect[fits] + 1) / 2) < 0.04
    assert abs(np.corrcoef(area[fits], aspect[fits])[0, 1]) < 0.06
    for place, room in ((drawn[:, 0], width - w), (drawn[:, 1], height - h)):
        assert kolmogorov_smirnov(place / np.maximum(room, 1)) < 0.04


def kolmogorov_smirnov(sample: np.ndarray) -> float:
    """Largest distance of the distribution function of a sample from that of the uniform one on [0, 1]."""
    ordered = np.sort(sample)
    steps = np.arange(len(sample) + 1) / len(sample)
    return float(max(np.abs(ordered - steps[1:]).max(), np.abs(ordered - steps[:-1]).max()))


@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (1, 1), (3, 200), (200, 3)])
def test_boxes_lie_in_the_image(width: int, height: int) -> None:
    drawn = boxes(300, width, height)
    assert (drawn == np.round(drawn)).all()
    assert (drawn[:, :2] >= 0).all()
    assert (drawn[:, 2:] <= (width, height)).all()
    assert (drawn[:, 2:] > drawn[:, :2]).all()


def test_an_image_that_no_box_fits_gives_its_middle() -> None:
    """All of it with a ratio that no draw has: the largest part in the middle that is in range."""
    assert (boxes(20, 400, 100, smallest=1.0) == (133, 0, 266, 100)).all()
    assert (boxes(20, 100, 400, smallest=1.0) == (0, 133, 100, 266)).all()
    assert (boxes(20, 100, 90, smallest=1.0, aspect=1.0) == (5, 0, 95, 90)).all()


def test_the_whole_image() -> None:
    file = jpeg(np.random.default_rng(0), 64, 64)
    expected = np.asarray(whole(file).resize((32, 32), Image.Resampling.BILINEAR))
    mirrored = 0
    for seed in range(40):
        found = resized_crop_flip(file, np.random.default_rng(seed), size=32, smallest_area=1, largest_aspect=1)
        is_mirrored = np.array_equal(found, expected[:, ::-1])
        assert is_mirrored or np.array_equal(found, expected)
        mirrored += is_mirrored
    assert 10 <= mirrored <= 30


def test_a_random_part_is_that_of_the_image_scaled() -> None:
    file = jpeg(np.random.default_rng(0), 200, 150)
    for seed in range(10):
        found = resized_crop_flip(file, np.random.default_rng(seed), size=48, smallest_area=0.08, largest_aspect=4 / 3)
        rng = np.random.default_rng(seed)
        box = random_box(200, 150, rng, 0.08, 4 / 3)
        expected = np.asarray(whole(file).resize((48, 48), Image.Resampling.BILINEAR, box=box))
        np.testing.assert_array_equal(found, expected[:, ::-1] if rng.random() < 0.5 else expected)


def test_the_draws_alone_decide() -> None:
    file = jpeg(np.random.default_rng(0), 90, 120)

    def view(seed: int) -> bytes:
        options: dict[str, Any] = {"size": 24, "smallest_area": 0.08, "largest_aspect": 4 / 3}
        return resized_crop_flip(file, np.random.default_rng(seed), **options).tobytes()

    assert view(3) == view(3)
    assert len({view(seed) for seed in range(20)}) == 20


@pytest.mark.parametrize(("width", "height"), [(96, 96), (120, 96), (96, 150), (300, 180), (70, 60)])
def test_the_middle_is_that_of_the_scaled_image(width: int, height: int) -> None:
    """Scaled as a whole, then cut, as is usual; that rounds the length of the longer side, so that no more than a pixel's
    fraction is between the two."""
    file = jpeg(np.random.default_rng(0), width, height, noise=0)
    short = min(width, height)
    scaled = whole(file).resize((round(width * 72 / short), round(height * 72 / short)), Image.Resampling.BILINEAR)
    left, top = ((length - 64) / 2 for length in scaled.size)
    part = (left, top, left + 64, top + 64)
    expected = np.asarray(scaled.transform((64, 64), Image.Transform.EXTENT, part, Image.Resampling.BILINEAR))
    found = centre_crop(file, size=64, resize=72)
    assert (found.shape, found.dtype) == ((64, 64, 3), np.uint8)
    if width == height:
        assert np.abs(found.astype(int) - np.asarray(scaled.crop(part))).max() <= 2  # roundings
    assert np.abs(found.astype(int) - expected).mean() < 2


def test_large_images_are_scaled_by_the_decoder_in_part() -> None:
    """Pixels differ by less than a JPEG's own errors, and none is shifted."""
    file = jpeg(np.random.default_rng(0), 1500, 1100, noise=2)
    box = Box(100, 50, 1400, 1050)
    image = _open(file)
    found = _scaled(image, box, 64).astype(np.float64)
    assert image.size < (500, 400)
    expected = np.asarray(whole(file).resize((64, 64), Image.Resampling.BILINEAR, box=box), np.float64)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 1.5
    shifted = np.sqrt(np.mean((found[:, 1:] - expected[:, :-1]) ** 2))
    assert shifted > 4 * np.sqrt(np.mean((found - expected) ** 2))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours(mode: str) -> None:
    file = jpeg(np.random.default_rng(0), 80, 80, mode)
    assert Image.open(io.BytesIO(file)).mode == mode
    found = centre_crop(file, size=40, resize=40).astype(int)
    expected = np.asarray(whole(file).resize((40, 40), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(found - expected).max() <= 2  # scaled, then converted: roundings
    if mode == "L":
        assert (found == found[..., :1]).all()
