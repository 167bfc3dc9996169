"""Numbers of runs against a strength, another number or the training step, one panel a row and column.

A curve is the mean over seeds, its bars are the mean's 95 % interval from three seeds on, its dots are the seeds. Where lines
would cover each other they stand side by side about their x. Diverged runs have no number: they are crosses in a strip below
the panel, with their number where there are several, and a mean of the runs that are left has a hollow marker. Over training
steps, seeds are thin lines in place of bars and dots, and a cross is where a run is first found to have diverged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures import marks
from nmepkg.analysis.figures.baselines import find_baselines
from nmepkg.analysis.figures.difference_panels import draw_differences
from nmepkg.analysis.figures.differences import find_differences
from nmepkg.analysis.figures.diverged import draw_diverged, find_diverged
from nmepkg.analysis.figures.layout import MIN_SPAN, add_legend, fit_height, freeze, value_limits, wrap
from nmepkg.analysis.figures.legend import CHANCE, legend_entries
from nmepkg.analysis.figures.marks import Slot
from nmepkg.analysis.figures.panels import VALUES, Panels, new_panels, panel_width
from nmepkg.analysis.figures.scales import ValueScale, value_scale
from nmepkg.analysis.figures.ticks import scale_remark, set_value_ticks, set_x_ticks
from nmepkg.analysis.labels import axis_title, drawn
from nmepkg.analysis.quantities import bounds, common_title, is_accuracy, metric_title
from nmepkg.analysis.style import NEUTRAL, LineStyle, figure_width, line_styles

Scales = dict[tuple[int, int], ValueScale]
_PAD = 0.03  # at both ends of x, as a share of the panel
_NEAR = 0.15  # of a panel's range, below it: how far chance may lie and be shown


def draw(curves: Curves, titles: Mapping[str, str], chance: Mapping[str, float] | None = None) -> Canvas:
    """Draws the figure; call it inside the style's ``rc_context``.

    Args:
      titles: those of the setups.
      chance: setup -> accuracy of guessing, 1 / classes; left out, it is not drawn.
    """
    curves = replace(curves, titles=titles)
    styles = line_styles(curves.line_axis, curves.lines, line_colors(curves))
    baselines = find_baselines(curves, styles)
    diverged = find_diverged(curves, styles)
    strips = [diverged.height(row) for row in range(len(curves.rows))]
    columns, figure = len(curves.columns), curves.figure
    width = figure_width(figure.width, columns)
    canvas, panels, heights = new_panels(columns, width, strips, figure.differences is not None)
    slots = {place: _slots(curves, *place) for place in panels}
    scales = {place: _scale(curves, *place) for place in panels}
    guesses: list[float] = []
    for place, panel in panels.items():
        for position, baseline in enumerate(baselines):
            if place in baseline.points:
                point, runs = baseline.points[place], _panel(curves.runs, *place)
                at_zero = runs[(runs["x"] == 0) & (runs["line"] == point["line"])]
                marks.draw_baseline(panel.values, baseline, position, point, at_zero, bounds(_names(curves, *place)))
        _draw_lines(panel.values, curves, styles, slots[place], *place)
        if panel.diverged is not None:
            draw_diverged(panel.diverged, curves, diverged, *place)
        _set_x(panel.values, curves, slots[place], len(baselines), *place)
        _set_values(panel.values, curves, scales[place], *place)
        guesses += _draw_chance(panel.values, curves, chance or {}, *place)
    if curves.figure.differences is not None:
        draw_differences(curves, find_differences(curves), panels, styles, slots)
    _set_texts(curves, panels, scales)
    canvas.align_ylabels()
    add_legend(canvas, legend_entries(curves, styles, slots[0, 0], baselines, guesses), curves.figure.title)
    fit_height(canvas, heights)
    for place, panel in panels.items():
        set_x_ticks(panel.lowest, curves.figure.x_scale, _x(curves, *place).tolist())
    freeze(canvas)
    return canvas


def line_colors(curves: Curves) -> list[str | None]:
    """Of each line, the colour that the study gives to its label, title or name; None: it gives none."""
    colors = curves.figure.style.get("colors", {})
    return [next((colors[name] for name in _named(curves, value) if name in colors), None) for value in curves.lines]


def _named(curves: Curves, value: Any) -> list[str]:
    return [curves.label(curves.line_axis, value), str(value["name"] if isinstance(value, Mapping) else value)]


def _panel(frame: pd.DataFrame, row: int, column: int) -> pd.DataFrame:
    return frame[(frame["row"] == row) & (frame["column"] == column)]


def _names(curves: Curves, row: int, column: int) -> list[str]:
    """The quantities of a panel, in the study's order."""
    here = set(_panel(curves.runs, row, column)["_quantity"])
    return [name for name in curves.figure.y if name in here] or list(curves.figure.y)


def _x(curves: Curves, row: int, column: int) -> np.ndarray:
    """The values of x, increasing: of the whole figure, but the steps of the panel's setups, which train for their own time."""
    points = curves.on_axis(curves.points)
    if curves.has_trajectories:
        here = set(_panel(points, row, column)["setup"]) or set(points["setup"])  # a panel may be empty
        points = marks.followed(points[points["setup"].isin(here)])
    return np.unique(points["x"].to_numpy(float))


def _slots(curves: Curves, row: int, column: int) -> list[Slot]:
    """Side by side where there are bars: elsewhere a steep line would only seem to be above the one beside it."""
    if curves.has_trajectories or marks.intervals(curves.points).isna().all(axis=None):
        return marks.stacked(len(curves.lines))
    x, width = _x(curves, row, column), panel_width(curves)
    return marks.side_by_side(x, curves.figure.x_scale, width, len(curves.lines))


def _draw_lines(ax: Axes, curves: Curves, styles: list[LineStyle], slots: list[Slot], row: int, column: int) -> None:
    points = _panel(curves.on_axis(curves.points), row, column)
    runs = _panel(curves.on_axis(curves.runs), row, column)
    limits = bounds(_names(curves, row, column))
    for line, (style, slot) in enumerate(zip(styles, slots, strict=True)):
        mine, single = points[points["line"] == line], runs[runs["line"] == line]
        several = (mine["n_seeds"] > 1).any()
        if curves.has_trajectories:
            if several:
                marks.draw_trajectories(ax, single, style)
            marks.draw_mean(ax, marks.followed(mine), style, line, slot)
        else:
            marks.draw_interval(ax, mine, style, slot, limits)
            if several:
                marks.draw_seeds(ax, single, style, slot)
            marks.draw_mean(ax, mine, style, line, slot)


def _scale(curves: Curves, row: int, column: int) -> ValueScale:
    """One scale for all panels of a quantity: its name in the label holds for them all."""
    alike = curves.runs["_quantity"].isin(_names(curves, row, column))
    return value_scale(curves.figure.y_scale, curves.runs.loc[alike, "_y"].to_numpy(float))


def _set_x(ax: Axes, curves: Curves, slots: list[Slot], baselines: int, row: int, column: int) -> None:
    """The range of x, with room at its ends for what is drawn beside the outermost x, and for the points of baselines."""
    x, width = _x(curves, row, column), panel_width(curves)
    low, high = x[0], x[-1]
    aside = marks.reach(slots) / width
    before, after = _PAD + aside + marks.reach_of_baselines(baselines) / width, _PAD + aside
    if curves.figure.x_scale == "log":
        span = (high / low if high > low else 10.0) ** (1 / (1 - before - after))
        ax.set_xlim(low / span**before, high * span**after)
    else:
        span = (high - low if high > low else max(abs(high), 1.0)) / (1 - before - after)
        ax.set_xlim(low - span * before, high + span * after)
    ax.set_xscale(curves.figure.x_scale)
    ax.xaxis.set_minor_locator(NullLocator())  # whose many labels would take most of the time of a layout


def _set_values(ax: Axes, curves: Curves, scale: ValueScale, row: int, column: int) -> None:
    scale.set(ax)
    low, high = _limits(curves, row, column, scale)
    ax.set_ylim(low, high)
    set_value_ticks(ax, scale, _factor(_names(curves, row, column)))
    values = _panel(curves.runs, row, column)["_y"]
    if (values < 0).any() and low < 0 < high:
        ax.axhline(0, color=NEUTRAL, linewidth=0.6, zorder=1)


def _factor(names: list[str]) -> float:
    return 100 if all(is_accuracy(name) for name in names) else 1


def _limits(curves: Curves, row: int, column: int, scale: ValueScale) -> tuple[float, float]:
    """Panels of one setup and quantity have one range, so that their heights can be compared."""
    here = set(_panel(curves.runs, row, column)["setup"])
    names = _names(curves, row, column)
    runs = curves.runs[curves.runs["setup"].isin(here) & curves.runs["_quantity"].isin(names)]
    points = curves.points[curves.points["setup"].isin(here) & curves.points["y_name"].isin(names)]
    values = runs["_y"].to_numpy(float)
    intervals = np.empty(0) if curves.has_trajectories else marks.intervals(points).to_numpy(float)
    return value_limits(
        values,
        intervals,
        bounds(names),
        scale=scale,
        min_span=MIN_SPAN if all(is_accuracy(name) for name in names) else scale.min_span(values[np.isfinite(values)]),
    )


def _draw_chance(ax: Axes, curves: Curves, chance: Mapping[str, float], row: int, column: int) -> list[float]:
    """A line at the accuracy of guessing where the panel's range comes near it, and is widened to it; returns what is drawn."""
    runs = _panel(curves.runs, row, column)
    if curves.has_trajectories or not all(is_accuracy(name) for name in _names(curves, row, column)):
        return []
    low, high = ax.get_ylim()
    near = [
        level
        for level in {chance[setup] for setup in runs["setup"] if setup in chance}
        if low - _NEAR * (high - low) <= level <= high
    ]
    for level in near:
        ax.axhline(level, zorder=1.5, **CHANCE)
    if near:
        ax.set_ylim(min(low, *(level - 0.04 * (high - low) for level in near)), high)
    return near


def _set_texts(curves: Curves, panels: Panels, scales: Scales) -> None:
    figure = curves.figure
    width = panel_width(curves)
    for (row, column), panel in panels.items():
        title = _value_title(curves, row, column, scales[row, column])
        heading = curves.label(figure.columns, curves.columns[column])
        name = curves.label(figure.rows, curves.rows[row])
        if figure.columns == "quantity":
            heading, title = title, ""
        elif figure.rows == "quantity":
            name = ""
        if row == 0:
            wrap(panel.values.title, width, drawn(heading))
        if column == 0 and title:
            wrap(panel.values.yaxis.label, VALUES, drawn(title))
        if column == len(curves.columns) - 1 and name:  # across from the values: it is not what they are
            text = panel.values.annotate(
                "", (1, 0.5), xytext=(4, 0), xycoords="axes fraction", textcoords="offset points", rotation=270,
                va="center", ha="left",
            )  # fmt: skip
            wrap(text, VALUES, drawn(name))
        if row == len(curves.rows) - 1:
            wrap(
                panel.lowest.xaxis.label,
                width,
                drawn(axis_title(figure.x, figure.measurement is not None, curves.methods)),
            )


def _value_title(curves: Curves, row: int, column: int, scale: ValueScale) -> str:
    figure, names = curves.figure, _names(curves, row, column)
    if len(names) == 1:
        title = metric_title(names[0], figure.report, curves.measured)
    else:
        title = common_title(names, figure.report, curves.measured)
    return " ".join(filter(None, (drawn(title), scale_remark(scale, _factor(names)))))
