"""Panels of paired differences, below those of the values and over the same x."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures import marks
from nmepkg.analysis.figures.differences import Differences
from nmepkg.analysis.figures.layout import MIN_SPAN, value_limits, wrap
from nmepkg.analysis.figures.marks import Slot
from nmepkg.analysis.figures.panels import DIFFERENCES, Panels, panel_width
from nmepkg.analysis.figures.scales import ValueScale, difference_scale
from nmepkg.analysis.figures.ticks import scale_remark, set_value_ticks
from nmepkg.analysis.labels import drawn, optimizer_label, symbol
from nmepkg.analysis.quantities import is_accuracy
from nmepkg.analysis.style import NEUTRAL, LineStyle, smallest

_POINT = 0.01  # of an accuracy: where all differences are about as small, none is worth a logarithmic axis
_UNBOUNDED = (-math.inf, math.inf)


def draw_differences(
    curves: Curves,
    differences: Differences,
    panels: Panels,
    styles: list[LineStyle],
    slots: Mapping[tuple[int, int], list[Slot]],
) -> None:
    """Fills the panels of differences: mean, interval and seeds as those of the values, and a line at 0, of ratios at 1.

    An accuracy's are in points of per cent. The panels of one setup have one range; where a few differences are far larger than
    most, it is linear about 0 and logarithmic beyond, and the label says so.
    """
    for (row, column), panel in panels.items():
        ax = panel.differences
        if ax is None:
            continue
        points, runs = (
            frame[(frame["row"] == row) & (frame["column"] == column)]
            for frame in (differences.points, differences.runs)
        )
        for line, style in enumerate(styles):
            mine, single = points[points["line"] == line], runs[runs["line"] == line]
            if len(mine):
                slot = slots[row, column][line]
                marks.draw_interval(ax, mine, style, slot, _UNBOUNDED)
                if (mine["n_seeds"] > 1).any():
                    marks.draw_seeds(ax, single, style, slot)
                marks.draw_mean(ax, mine, style, line, slot)
        ax.axhline(float(differences.ratios), color=NEUTRAL, linewidth=0.8, zorder=1)
        points_of_accuracy = all(is_accuracy(name) for name in runs["_quantity"]) and not differences.ratios
        factor = 100 if points_of_accuracy else 1
        scale = _set_range(ax, differences, set(runs["setup"]), set(runs["_quantity"]), factor)
        if column == 0:
            wrap(ax.yaxis.label, DIFFERENCES, _title(curves, differences.ratios, factor))
        remark = ax.set_title("", loc="left", fontsize=smallest(), color=NEUTRAL, pad=2)
        wrap(remark, panel_width(curves), scale_remark(scale, factor))


def _set_range(ax: Axes, differences: Differences, setups: set[str], quantities: set[str], factor: float) -> ValueScale:
    points, runs = differences.points, differences.runs
    runs = runs[runs["setup"].isin(setups) & runs["_quantity"].isin(quantities)]
    points = points[points["setup"].isin(setups) & points["y_name"].isin(quantities)]
    values = np.append(runs["_y"].to_numpy(float), float(differences.ratios))
    scale = ValueScale("log") if differences.ratios else difference_scale(values, _POINT if factor > 1 else 0.0)
    scale.set(ax)
    span = MIN_SPAN if factor > 1 else scale.min_span(values[np.isfinite(values)])
    intervals: pd.DataFrame = marks.intervals(points)
    ax.set_ylim(*value_limits(values, intervals.to_numpy(float), _UNBOUNDED, scale=scale, min_span=span))
    set_value_ticks(ax, scale, factor)
    return scale


def _title(curves: Curves, ratios: bool, factor: float) -> str:
    if curves.figure.differences == "first_line":
        other = curves.label(curves.line_axis, curves.lines[0])
        if curves.line_axis == "at":
            other = f"that {other[:1].lower()}{other[1:]}"
    else:
        other = f"{optimizer_label(curves.optimizers)} ({symbol(curves.figure.x)} = 0)"
    return drawn(f"{'Over' if ratios else 'Minus'} {other}{' (points)' if factor > 1 else ''}")
