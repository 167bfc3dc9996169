"""What holds of the texts of every figure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.text import Text


def assert_apart_and_on_the_page(canvas: Any, texts: Sequence[Text]) -> None:
    """No text overlaps another or leaves the page."""
    renderer = canvas.canvas.get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for (one, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other_box), (one, other)
    for text, box in boxes:
        assert canvas.bbox.x0 <= box.x0 < box.x1 <= canvas.bbox.x1, text
        assert canvas.bbox.y0 <= box.y0 < box.y1 <= canvas.bbox.y1, text
