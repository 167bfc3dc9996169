"""Views of a photograph: the part of a JPEG that is looked at, scaled to a square of pixels.

The part is cut out and scaled in one pass of Pillow, which reads no more of the image than that takes, with a bilinear filter
as wide as the pixels it makes, so that nothing aliases: torchvision's default. A bicubic one takes two thirds longer and rings.
Where the part is so large that whole factors of two can go, the decoder leaves them out (``draft``: a smaller inverse cosine
transform of each block), down to twice the pixels that are asked for, where the filter still does the rest.
"""

from __future__ import annotations

import io
import math
from typing import Any, NamedTuple

import numpy as np

_TRIES = 10
_MARGIN = 2  # of pixels decoded to pixels made, at least, where the decoder scales


class Box(NamedTuple):
    """A part of an image, in pixels from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


def resized_crop_flip(
    jpeg: bytes, rng: np.random.Generator, *, size: int, smallest_area: float, largest_aspect: float
) -> np.ndarray:
    """A random part of the image, scaled and half of the times mirrored, to train on (Szegedy et al. 2015).

    Args:
      jpeg: the file.
      rng: all that is drawn comes from it, the part first.
      size: of the view.
      smallest_area, largest_aspect: see :func:`random_box`.

    Returns:
      (size, size, 3) uint8.
    """
    image = _open(jpeg)
    width, height = image.size
    box = random_box(width, height, rng, smallest_area, largest_aspect)
    return _scaled(image, box, size, mirrored=rng.random() < 0.5)


def centre_crop(jpeg: bytes, *, size: int, resize: int) -> np.ndarray:
    """The middle ``size``² pixels of the image scaled so that its shorter side has ``resize``, to evaluate on.

    Returns:
      (size, size, 3) uint8.
    """
    image = _open(jpeg)
    side = min(image.size) * size / resize
    left, top = ((length - side) / 2 for length in image.size)
    return _scaled(image, Box(left, top, left + side, top + side), size)


def random_box(width: int, height: int, rng: np.random.Generator, smallest_area: float, largest_aspect: float) -> Box:
    """A part of an image of random area, aspect ratio and place.

    Its area is uniform in [``smallest_area``, 1] of the image's, its aspect ratio log-uniform in [1/``largest_aspect``,
    ``largest_aspect``], its place uniform. It is drawn again while it is larger than the image on one side; after ten times it
    is the largest part in the middle with a ratio in that range. The same as in fb.resnet.torch and torchvision
    (``RandomResizedCrop``).
    """
    for _ in range(_TRIES):
        area = width * height * rng.uniform(smallest_area, 1)
        aspect = math.exp(rng.uniform(-math.log(largest_aspect), math.log(largest_aspect)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = (int(rng.integers(room, endpoint=True)) for room in (width - w, height - h))
            return Box(left, top, left + w, top + h)
    w = min(width, round(height * largest_aspect))
    h = min(height, round(width * largest_aspect))
    left, top = (width - w) // 2, (height - h) // 2
    return Box(left, top, left + w, top + h)


def _open(jpeg: bytes) -> Any:
    """The image, of which only the header is read so far."""
    from PIL import Image

    return Image.open(io.BytesIO(jpeg))


def _scaled(image: Any, box: Box, size: int, mirrored: bool = False) -> np.ndarray:
    """The part of an image that is not decoded yet, as (size, size, 3) uint8."""
    from PIL import Image

    width, height = image.size
    shrink = min(box.right - box.left, box.bottom - box.top) / (_MARGIN * size)
    if shrink >= 2:
        # The decoder takes the largest factor, a power of two, that leaves no less than these.
        image.draft(None, (math.ceil(width / shrink), math.ceil(height / shrink)))
        x, y = image.size[0] / width, image.size[1] / height
        box = Box(box.left * x, box.top * y, box.right * x, box.bottom * y)
    view = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if mirrored:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(view if view.mode == "RGB" else view.convert("RGB"))
