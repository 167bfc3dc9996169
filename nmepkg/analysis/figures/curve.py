"""Numbers of runs against a strength, another number or the training step, one panel a row and column.

A curve is the mean over seeds, its band the mean's 95 % interval from three seeds on, its dots are the seeds. Diverged runs
have no number: they are crosses at the foot of the panel, with their number where there are several. Over training steps, seeds
are thin lines in place of band and dots, a cross is where a run is first found to have diverged, and from there the mean is
dashed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nmepkg.analysis.axis_labels import axis_label
from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures import marks
from nmepkg.analysis.figures.baselines import Baseline, find_baselines
from nmepkg.analysis.figures.layout import (
    MIN_SPAN,
    PANEL_HEIGHT,
    Panels,
    add_legend,
    fit_height,
    freeze,
    new_canvas,
    panel_width,
    value_limits,
    wrap,
)
from nmepkg.analysis.figures.scales import ValueScale, value_scale
from nmepkg.analysis.figures.ticks import set_value_ticks, set_x_ticks, tick_text
from nmepkg.analysis.labels import axis_title, drawn
from nmepkg.analysis.quantities import bounds, common_title, is_accuracy, metric_title
from nmepkg.analysis.style import NEUTRAL, LineStyle, line_styles

Scales = dict[tuple[int, int], ValueScale]


def draw(curves: Curves, titles: Mapping[str, str]) -> Canvas:
    """Draws the figure; ``titles`` are those of the setups. Call it inside the style's ``rc_context``."""
    styles = line_styles(curves.line_axis, curves.lines)
    baselines = find_baselines(curves, styles)
    diverged = marks.find_diverged(curves, styles)
    canvas, panels = new_canvas(len(curves.rows), len(curves.columns))
    for (row, column), ax in panels.items():
        runs = _panel(curves.runs, row, column)
        for baseline in baselines:
            if (row, column) in baseline.points:
                point = baseline.points[row, column]
                at_zero = runs[(runs["x"] == 0) & (runs["line"] == point["line"])]
                marks.draw_baseline(ax, baseline, point, at_zero, bounds(_names(curves, row, column)))
        _draw_lines(ax, curves, styles, row, column)
        marks.draw_diverged(ax, curves, diverged, row, column)
    scales = {place: _scale(curves, *place) for place in panels}
    _set_axes(curves, panels, scales, diverged.height)
    _set_texts(curves, panels, scales, titles)
    canvas.align_ylabels()
    add_legend(canvas, _legend(curves, styles, baselines), curves.figure.title)
    fit_height(canvas, [ax for (_, column), ax in panels.items() if column == 0], PANEL_HEIGHT)
    for place, ax in panels.items():
        set_x_ticks(ax, curves.figure.x_scale, _x(curves, *place).tolist())
    freeze(canvas)
    return canvas


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


def _draw_lines(ax: Axes, curves: Curves, styles: list[LineStyle], row: int, column: int) -> None:
    points = _panel(curves.on_axis(curves.points), row, column)
    runs = _panel(curves.on_axis(curves.runs), row, column)
    limits = bounds(_names(curves, row, column))
    for line, style in enumerate(styles):
        mine, single = points[points["line"] == line], runs[runs["line"] == line]
        several = (mine["n_seeds"] > 1).any()
        if curves.has_trajectories:
            if several:
                marks.draw_trajectories(ax, single, style)
            marks.draw_mean_trajectory(ax, marks.followed(mine), style, line)
        else:
            marks.draw_interval(ax, mine, style, limits)
            if several:
                marks.draw_seeds(ax, single, style, line)
            marks.draw_mean(ax, mine, style, line)


def _scale(curves: Curves, row: int, column: int) -> ValueScale:
    """One scale for all panels of a quantity: its name in the label holds for them all."""
    alike = curves.runs["_quantity"].isin(_names(curves, row, column))
    return value_scale(curves.figure.y_scale, curves.runs.loc[alike, "_y"].to_numpy(float))


def _set_axes(curves: Curves, panels: Panels, scales: Scales, foot: float) -> None:
    for (row, column), ax in panels.items():
        _set_x(ax, _x(curves, row, column), curves.figure.x_scale)
        scales[row, column].set(ax)
        low, high = _limits(curves, row, column, scales[row, column], foot)
        ax.set_ylim(low, high)
        names = _names(curves, row, column)
        set_value_ticks(ax, scales[row, column], 100 if all(is_accuracy(name) for name in names) else 1)
        values = _panel(curves.runs, row, column)["_y"]
        if (values < 0).any() and low < 0 < high:
            ax.axhline(0, color=NEUTRAL, linewidth=0.6, zorder=1)


def _set_x(ax: Axes, values: np.ndarray, scale: str) -> None:
    low, high = values[0], values[-1]
    if scale == "log":
        pad = (high / low) ** 0.07 if high > low else 2.0
        ax.set_xlim(low / pad, high * pad)
    else:
        pad = 0.03 * (high - low) if high > low else max(0.5 * abs(high), 0.5)
        ax.set_xlim(low - pad, high + pad)
    ax.set_xscale(scale)


def _limits(curves: Curves, row: int, column: int, scale: ValueScale, foot: float) -> tuple[float, float]:
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
        foot=foot,
        scale=scale,
        min_span=MIN_SPAN if all(is_accuracy(name) for name in names) else scale.min_span(values[np.isfinite(values)]),
    )


def _set_texts(curves: Curves, panels: Panels, scales: Scales, titles: Mapping[str, str]) -> None:
    figure = curves.figure
    width = panel_width(len(curves.columns))
    for (row, column), ax in panels.items():
        title = _value_title(curves, row, column, scales[row, column])
        heading = axis_label(figure.columns, curves.columns[column], titles, curves.measured)
        name = axis_label(figure.rows, curves.rows[row], titles, curves.measured)
        if figure.columns == "quantity":
            heading, title = title, ""
        elif figure.rows == "quantity":
            name = ""
        if row == 0:
            wrap(ax.title, width, drawn(heading))
        if column == 0:
            wrap(ax.yaxis.label, PANEL_HEIGHT, *(drawn(text) for text in (name, title) if text))
        if row == len(curves.rows) - 1:
            wrap(ax.xaxis.label, width, drawn(axis_title(figure.x, figure.measurement is not None)))


def _value_title(curves: Curves, row: int, column: int, scale: ValueScale) -> str:
    figure, names = curves.figure, _names(curves, row, column)
    if len(names) == 1:
        title = metric_title(names[0], figure.report, curves.measured)
    else:
        title = common_title(names, figure.report, curves.measured)
    if scale.name != "symlog":
        return title
    return f"{drawn(title)} (symlog beyond ±{tick_text(scale.threshold)})"


def _legend(curves: Curves, styles: list[LineStyle], baselines: list[Baseline]) -> list[Line2D | Patch]:
    shown = curves.on_axis(curves.runs)
    entries: list[Line2D | Patch] = []
    for line, (value, style) in enumerate(zip(curves.lines, styles, strict=True)):
        if (shown["line"] == line).any():
            label = drawn(axis_label(curves.line_axis, value, {}, curves.measured))
            entries.append(
                Line2D(
                    [], [], color=style.color, marker=style.marker, markeredgecolor="white", markeredgewidth=0.5,
                    label=label, **marks.size(line),
                )
            )  # fmt: skip
    entries += [
        Line2D([], [], color=b.color, linestyle=b.dashes, linewidth=1.0, alpha=0.75, label=drawn(b.label))
        for b in baselines
        if any(point["n_seeds"] for point in b.points.values())
    ]
    if (curves.points["n_seeds"] > 1).any():
        if curves.has_trajectories:
            entries.append(Line2D([], [], color=NEUTRAL, linewidth=0.6, alpha=0.7, label="One seed"))
        else:
            entries.append(
                Line2D(
                    [], [], color=NEUTRAL, marker=".", linestyle="", markeredgewidth=0,
                    label="One seed (beside its mean)",
                )
            )  # fmt: skip
        if not curves.has_trajectories and marks.intervals(curves.points).notna().any(axis=None):
            entries.append(Patch(color=NEUTRAL, alpha=0.2, linewidth=0, label="95 % interval of the mean"))
    if curves.has_trajectories and marks.has_survivors(curves.points):
        entries.append(
            Line2D([], [], color=NEUTRAL, linewidth=1.4, linestyle=marks.LEFT, label="Mean of the runs left")
        )
    if curves.runs["_y"].isna().any():
        label = "Diverged by this step" if curves.has_trajectories else "Diverged runs"
        entries.append(Line2D([], [], color=NEUTRAL, marker="x", linestyle="", markersize=4, label=label))
    return entries
