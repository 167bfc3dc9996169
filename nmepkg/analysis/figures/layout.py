"""Sizes, ranges, wrapped texts and legends that stay legible at the final size of a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import Container
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from nmepkg.analysis.figures.scales import ValueScale
from nmepkg.analysis.labels import drawn
from nmepkg.analysis.style import DPI
from nmepkg.study.mathtext import words

MIN_SPAN = 0.02  # smallest range of an accuracy
LINEAR = ValueScale("linear")
_AIR = 0.06  # above and below the values, as a share of their range
_FULL = 0.97  # of the figure's width: text is up to 2 % wider at another resolution


def add_legend(canvas: Canvas, entries: Sequence[Artist | Container], title: str | None) -> None:
    """Puts the legend below the panels, as flat as the figure is wide, and the title above them, and makes room for both."""
    for rows in range(1, len(entries) + 1):
        columns = -(-len(entries) // rows)  # the fewest, so that they are even
        legend = canvas.legend(
            handles=list(entries),
            loc="outside lower center",
            ncols=columns,
            columnspacing=1.4,
            borderpad=0.2,
            borderaxespad=0.2,
        )
        if columns == 1 or legend.get_window_extent().width <= _FULL * canvas.bbox.width:
            break
        legend.remove()
    room = legend.get_window_extent().height
    if title:
        text = canvas.suptitle("")
        wrap(text, _FULL * canvas.get_figwidth(), drawn(title))
        room += text.get_window_extent().height
    canvas.set_figheight(canvas.get_figheight() + room / canvas.dpi)


def wrap(text: Text, room: float, *paragraphs: str) -> None:
    """Sets a text, broken between words so that no line is longer than ``room`` inches; a longer word stays whole.

    Matplotlib wraps at the edge of the figure only, not of a panel, breaks formulas, and does so anew in every format.
    """
    lines: list[str] = []
    for paragraph in paragraphs:
        line = ""
        for word in words(paragraph):
            longer = f"{line} {word}" if line else word
            text.set_text(longer)
            if line and _length(text) > room:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    text.set_text("\n".join(lines))


def _length(line: Text) -> float:
    canvas, box = line.get_figure(root=True), line.get_window_extent()
    assert canvas is not None
    return (box.height if line.get_rotation() in (90, 270) else box.width) / canvas.dpi


def fit_height(canvas: Canvas, heights: Mapping[Axes, float]) -> None:
    """Makes the figure as high as a column of axes, of these heights in inches, and what is around them.

    The layout divides what there is among them in their proportion.
    """
    for _ in range(2):  # once panels are lower, a label beside them may stand out
        canvas.draw_without_rendering()
        share = sum(ax.get_position(original=True).height for ax in heights)
        canvas.set_figheight(canvas.get_figheight() * (1 - share) + sum(heights.values()))
    canvas.draw_without_rendering()


def freeze(canvas: Canvas) -> None:
    """Finds the layout for the last time: every format gets this one.

    The height becomes a whole number of pixels, so that what is added below a figure moves nothing in it by a part of one.
    """
    canvas.set_figheight(math.ceil(canvas.get_figheight() * DPI) / DPI)
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")


def value_limits(
    values: np.ndarray,
    intervals: np.ndarray,
    bounds: tuple[float, float],
    scale: ValueScale = LINEAR,
    min_span: float = MIN_SPAN,
) -> tuple[float, float]:
    """Range of a value axis: all values, their intervals as far as these don't dwarf the values, and some air.

    Args:
      values: single runs, NaN where there is none.
      intervals: bounds of intervals, NaN where there is none. With two seeds an interval may be far wider
        than everything measured: at most 60 % of the values' range is added on either side.
      bounds: what a value can be; the range goes no further than the air around it.
      scale: of the axis; spans and air are measured on it.
      min_span: smallest range: differences far below it aren't worth a full panel.
    """
    finite = scale.forward(values[np.isfinite(values)])
    if not finite.size:
        low, high = scale.inverse(np.array([0.0, 1.0]))
        return (float(low), float(high))
    low, high = float(finite.min()), float(finite.max())
    span = max(high - low, min_span)
    ends = scale.forward(intervals[np.isfinite(intervals)])
    ends = ends[np.isfinite(ends)]  # on a logarithmic axis, an interval may leave the panel
    floor, ceiling = scale.forward(np.array(bounds))
    if ends.size:
        low = max(min(low, float(ends.min())), low - 0.6 * span, floor)
        high = min(max(high, float(ends.max())), high + 0.6 * span, ceiling)
    if high - low < min_span:
        middle = (low + high) / 2
        low, high = middle - min_span / 2, middle + min_span / 2
    span = high - low
    ends = scale.inverse(np.array([low - _AIR * span, high + _AIR * span]))
    return float(ends[0]), float(ends[1])
