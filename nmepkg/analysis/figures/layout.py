"""Sizes, ranges, ticks and legends that stay legible at the final size of a figure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from nmepkg.analysis.labels import drawn, tick_text
from nmepkg.analysis.style import NORMAL, ONE_COLUMN, SMALLEST, TWO_COLUMNS
from nmepkg.errors import UserError

PANEL_HEIGHT = 1.75  # inches
_HANDLE, _SPACING = 2.0, 1.4  # of a legend, in font sizes
_MIN_SPAN = 0.02  # smallest range of values: differences far below it aren't worth a full panel


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
        text = wrap(drawn(title), NORMAL + 1, width - 10)
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
    for word in re.findall(r"(?:\$[^$]*\$|\S)+", text):
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def value_limits(
    values: np.ndarray, intervals: np.ndarray, bounds: tuple[float, float], foot: float = 0.0
) -> tuple[float, float]:
    """Range of a value axis: all values, their intervals as far as these don't dwarf the values, and some air.

    Args:
      values: single runs, NaN where there is none.
      intervals: (n, 2) bounds of intervals, NaN where there is none. With two seeds an interval may be far wider
        than everything measured: at most 60 % of the values' range is added on either side.
      bounds: what a value can be; the range goes no further than the air around it.
      foot: fraction of the panel to leave free at its foot, for marks.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    span = max(high - low, _MIN_SPAN)
    ends = intervals[np.isfinite(intervals)]
    if ends.size:
        low = max(min(low, float(ends.min())), low - 0.6 * span, bounds[0])
        high = min(max(high, float(ends.max())), high + 0.6 * span, bounds[1])
    if high - low < _MIN_SPAN:
        middle = (low + high) / 2
        low, high = middle - _MIN_SPAN / 2, middle + _MIN_SPAN / 2
    span = high - low
    return low - (0.06 + 1.06 * foot) / (1 - foot) * span, high + 0.06 * span


def label_grid_values(canvas: Canvas, panels: Panels, values: Sequence[float]) -> None:
    """Ticks at the values of the grid, each with its label where the labels have room, else the rounder ones."""
    canvas.draw_without_rendering()
    for ax in panels.values():
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
        ax.xaxis.set_major_locator(FixedLocator(list(values)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        shown = _labelled(ax, values)
        labels = [tick_text(value) if value in shown else "" for value in values]
        ax.set_xticks(list(values), labels=labels, verticalalignment="baseline")
        ax.tick_params(axis="x", pad=SMALLEST + 1.5)  # from the axis to the baseline: exponents don't push labels down
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")  # the layout is found: every format gets this one, without finding it again


def _labelled(ax: Axes, values: Sequence[float]) -> set[float]:
    """Values whose labels fit beside each other, the roundest chosen first."""
    low, high = np.log10(ax.get_xlim())
    figure = ax.get_figure(root=True)
    assert figure is not None
    points = ax.get_position().width * figure.get_figwidth() * 72
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


def is_math_text(text: str) -> bool:
    """Whether Matplotlib takes a text for mathtext: it has an even number of dollar signs that aren't escaped."""
    dollars = text.count("$") - text.count("\\$")
    return dollars > 0 and dollars % 2 == 0
