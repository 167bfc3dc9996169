"""Sizes, ranges, ticks and legends that stay legible at the final size of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from nmepkg.analysis.figures.scales import ValueScale, axis_length, set_value_ticks
from nmepkg.analysis.labels import drawn, tick_text
from nmepkg.analysis.style import NORMAL, ONE_COLUMN, SMALLEST, TWO_COLUMNS
from nmepkg.errors import UserError
from nmepkg.study.mathtext import is_math_text, words

PANEL_HEIGHT = 1.75  # inches
_HANDLE, _SPACING = 2.0, 1.4  # of a legend, in font sizes
MIN_SPAN = 0.02  # smallest range of an accuracy
LINEAR = ValueScale("linear")


Panels = dict[tuple[int, int], Axes]


def new_canvas(rows: int, columns: int) -> tuple[Canvas, Panels]:
    """A figure of column width (one column of panels) or text width (several), and its axes by row and column."""
    width = ONE_COLUMN if columns == 1 else TWO_COLUMNS
    canvas = Canvas(figsize=(width, rows * PANEL_HEIGHT + 0.65), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(rows, columns, squeeze=False)
    return canvas, {(row, column): axes[row, column] for row in range(rows) for column in range(columns)}


def panel_width(columns: int) -> float:
    """Width of a panel in points, about: what's left for a text beside the value axis."""
    return (ONE_COLUMN if columns == 1 else TWO_COLUMNS) * 72 / columns - 36


def add_legend(canvas: Canvas, entries: Sequence[Line2D | Patch], title: str | None) -> None:
    """Puts the legend below the panels and the title above them, and makes the figure as much higher."""
    width = canvas.get_figwidth() * 72
    widths = [text_width(str(entry.get_label()), SMALLEST) for entry in entries]
    columns = _legend_columns(widths, width - 14)
    canvas.legend(
        handles=list(entries),
        loc="outside lower center",
        ncols=columns,
        handlelength=_HANDLE,
        columnspacing=_SPACING,
        borderpad=0.2,
        borderaxespad=0.2,
    )
    extra = 0.155 * -(-len(entries) // columns) + 0.06
    if title:
        text = wrap(drawn(title), NORMAL + 1, 0.97 * width - 10)  # the renderer makes them up to 2 % wider
        canvas.suptitle(text)
        extra += 0.17 * (text.count("\n") + 1)
    canvas.set_figheight(canvas.get_figheight() + extra)


def _legend_columns(widths: Sequence[float], room: float) -> int:
    """Columns of the flattest legend that fits, and of those as flat the fewest, so that its columns are even."""
    fitting = [columns for columns in range(2, len(widths) + 1) if _legend_width(widths, columns) <= room]
    return min(fitting, key=lambda columns: (-(-len(widths) // columns), columns), default=1)


def _legend_width(widths: Sequence[float], columns: int) -> float:
    """Width in points: entries fill column after column, the first columns being the longer ones."""
    shortest, longer = divmod(len(widths), columns)
    total, start = (columns - 1) * _SPACING * SMALLEST, 0
    for column in range(columns):
        end = start + shortest + (column < longer)
        total += max(widths[start:end]) + (_HANDLE + 0.8) * SMALLEST
        start = end
    return total


def wrap(text: str, size: float, width: float) -> str:
    """Breaks a text between words for lines no wider than ``width`` points; a formula or longer word stays whole."""
    lines: list[str] = []
    for word in words(text):
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def value_limits(
    values: np.ndarray,
    intervals: np.ndarray,
    bounds: tuple[float, float],
    foot: float = 0.0,
    scale: ValueScale = LINEAR,
    min_span: float = MIN_SPAN,
) -> tuple[float, float]:
    """Range of a value axis: all values, their intervals as far as these don't dwarf the values, and some air.

    Args:
      values: single runs, NaN where there is none.
      intervals: bounds of intervals, NaN where there is none. With two seeds an interval may be far wider
        than everything measured: at most 60 % of the values' range is added on either side.
      bounds: what a value can be; the range goes no further than the air around it.
      foot: fraction of the panel to leave free at its foot, for marks.
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
    ends = scale.inverse(np.array([low - (0.06 + 1.06 * foot) / (1 - foot) * span, high + 0.06 * span]))
    return float(ends[0]), float(ends[1])


def set_ticks(
    canvas: Canvas,
    panels: Panels,
    values: Mapping[tuple[int, int], Sequence[float]],
    x_scale: str,
    scales: Mapping[tuple[int, int], ValueScale],
) -> None:
    """Ticks that have room: on a logarithmic x at the values of the grid, each with its label or else the rounder ones.

    Args:
      values: those of x, by panel.
      scales: of the value axes, by panel.
    """
    canvas.draw_without_rendering()
    for place, ax in panels.items():
        set_value_ticks(ax, scales[place])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", pad=SMALLEST + 1.5)  # from the axis to the baseline: exponents don't push labels down
        if x_scale == "log":
            ticks = list(values[place])
            shown = _labelled(ax, ticks)
        else:
            ticks = _round_values(ax)
            shown = set(ticks)
        labels = [tick_text(value) if value in shown else "" for value in ticks]
        ax.set_xticks(ticks, labels=labels, verticalalignment="baseline")
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")  # the layout is found: every format gets this one, without finding it again


def _round_values(ax: Axes) -> list[float]:
    """Round numbers on a linear x axis, as many as have room for their labels."""
    low, high = ax.get_xlim()
    points = axis_length(ax, "width")
    for most in (7, 6, 5, 4, 3, 2):
        ticks = [
            float(t) for t in MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= t <= high
        ]
        halves = [text_width(tick_text(tick), SMALLEST) / 2 + 3 for tick in ticks]
        gaps = np.diff(ticks) / (high - low) * points
        if all(gap >= one + other for gap, one, other in zip(gaps, halves, halves[1:], strict=False)):
            break
    return ticks


def _labelled(ax: Axes, values: Sequence[float]) -> set[float]:
    """Values whose labels fit beside each other, the roundest chosen first."""
    low, high = np.log10(ax.get_xlim())
    points = axis_length(ax, "width")
    chosen: dict[float, tuple[float, float]] = {}
    for value in sorted(values, key=_roundness):
        centre = (np.log10(value) - low) / (high - low) * points
        half = text_width(tick_text(value), SMALLEST) / 2 + 1.5
        if all(centre + half <= left or right <= centre - half for left, right in chosen.values()):
            chosen[value] = (centre - half, centre + half)
    return set(chosen)


def _roundness(value: float) -> tuple[bool, bool, float]:
    mantissa = round(value / 10 ** np.floor(np.log10(value) + 1e-9), 6)
    return (mantissa != 1, mantissa not in (2, 3, 5), value)


def text_width(text: str, size: float) -> float:
    """Width of a text in points, mathtext included.

    Raises:
      UserError: the text has mathtext that can't be parsed.
    """
    try:
        width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), is_math_text(text))
    except ValueError:
        raise UserError(f"the label {text!r} isn't valid mathtext; write \\$ for a dollar sign") from None
    return float(width)
