"""A metric against a strength (or another number) on a logarithmic axis, one panel a row and column.

A curve is the mean over seeds; its band is the mean's 95 % interval, its dots are the seeds. Diverged runs have no
metric: they are crosses at the foot of the panel, with their number where there are several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation, Transform

from nmepkg.analysis.curves import Curves, axis_label
from nmepkg.analysis.figures.baselines import Baseline, find_baselines
from nmepkg.analysis.figures.layout import (
    PANEL_HEIGHT,
    Panels,
    add_legend,
    label_grid_values,
    new_canvas,
    panel_width,
    value_limits,
    wrap,
)
from nmepkg.analysis.labels import axis_title, drawn, is_accuracy, metric_title
from nmepkg.analysis.style import NEUTRAL, NORMAL, SMALLEST, LineStyle, line_styles

_FOOT, _FOOT_ROW = 0.05, 0.075  # height of the lowest row of crosses, and between rows, as fractions of the panel's
_BASELINE_SEEDS = 0.012  # where a baseline's seeds lie, as a fraction of the panel's width


def draw(curves: Curves, titles: Mapping[str, str]) -> Canvas:
    """Draws the figure; ``titles`` are those of the setups. Call it inside the style's ``rc_context``."""
    figure = curves.figure
    styles = line_styles(curves.line_axis, curves.lines)
    baselines = find_baselines(curves, styles)
    canvas, panels = new_canvas(len(curves.rows), len(curves.columns))
    for (row, column), ax in panels.items():
        points = _panel(curves.points, row, column)
        runs = _panel(curves.runs, row, column)
        for baseline in baselines:
            if (row, column) in baseline.points:
                _draw_baseline(ax, baseline, baseline.points[row, column], runs, _bounds(curves))
        for line, style in enumerate(styles):
            _draw_curve(ax, points[points["line"] == line], runs[runs["line"] == line], style, line, _bounds(curves))
        _draw_diverged(ax, runs, styles, _diverging(curves))
    _set_axes(curves, panels, titles)
    canvas.align_ylabels()
    add_legend(canvas, _legend(curves, styles, baselines), figure.title)
    label_grid_values(canvas, panels, sorted({float(x) for x in curves.runs["x"] if x > 0}))
    return canvas


def _panel(frame: pd.DataFrame, row: int, column: int) -> pd.DataFrame:
    return frame[(frame["row"] == row) & (frame["column"] == column)]


def _bounds(curves: Curves) -> tuple[float, float]:
    return (0.0, 1.0) if is_accuracy(curves.figure.y) else (-np.inf, np.inf)


def _size(line: int) -> dict[str, Any]:
    """Later curves are drawn over earlier ones, so they're a little smaller: where two coincide, both are seen."""
    shrink = 0.9**line
    return {"linewidth": 1.7 * shrink, "markersize": 5.6 * shrink}


def _draw_curve(
    ax: Axes, points: pd.DataFrame, runs: pd.DataFrame, style: LineStyle, line: int, bounds: tuple[float, float]
) -> None:
    points = points[points["x"] > 0]
    runs = runs[runs["x"] > 0]
    low, high = points["ci_low"].clip(*bounds), points["ci_high"].clip(*bounds)
    ax.fill_between(points["x"], low, high, color=style.color, alpha=0.14, linewidth=0)
    if (points["n_seeds"] > 1).any():
        # Beside the mean's marker, which would cover them: left and right in turn.
        aside = (4.5 + 2.0 * (line // 2)) * (1 if line % 2 else -1)
        canvas = ax.get_figure(root=True)
        assert canvas is not None
        shift = ScaledTranslation(aside / 72, 0, canvas.dpi_scale_trans)
        ax.plot(
            runs["x"],
            runs["_y"],
            ".",
            transform=ax.transData + shift,
            color=style.color,
            alpha=0.7,
            markersize=3.5,
            markeredgewidth=0,
            zorder=2.5,
        )
    ax.plot(
        points["x"],
        points["mean"],
        color=style.color,
        marker=style.marker,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=3,
        **_size(line),
    )


def _draw_baseline(
    ax: Axes, baseline: Baseline, point: pd.Series, runs: pd.DataFrame, bounds: tuple[float, float]
) -> None:
    if point["n_seeds"] == 0:
        return
    if point["n_seeds"] > 1:
        low, high = np.clip((point["ci_low"], point["ci_high"]), *bounds)
        ax.axhspan(low, high, color=baseline.color, alpha=0.08, linewidth=0, zorder=0.5)
        seeds = runs[runs["run"].isin(point["runs"].split())]["_y"].dropna().drop_duplicates()
        place = np.full(len(seeds), _BASELINE_SEEDS)
        ax.plot(
            place,
            seeds,
            ".",
            transform=ax.get_yaxis_transform(),
            color=baseline.color,
            alpha=0.6,
            markersize=3.5,
            markeredgewidth=0,
        )
    ax.axhline(point["mean"], color=baseline.color, linestyle=baseline.dashes, linewidth=1.0, alpha=0.75, zorder=2)


def _diverging(curves: Curves) -> list[int]:
    """Lines with diverged runs: each has a row of crosses at the foot of every panel, the last one lowest."""
    return sorted(curves.runs[(curves.runs["status"] == "diverged") & (curves.runs["x"] > 0)]["line"].unique())


def _draw_diverged(ax: Axes, runs: pd.DataFrame, styles: list[LineStyle], diverging: list[int]) -> None:
    diverged = runs[runs["status"] == "diverged"]
    above = diverged[diverged["x"] > 0]
    for (x, line), count in Counter(zip(above["x"].tolist(), above["line"].tolist(), strict=True)).items():
        height = _FOOT + _FOOT_ROW * (len(diverging) - 1 - diverging.index(line))
        _cross(ax, x, height, ax.get_xaxis_transform(), count, styles[line].color)
    at_zero = diverged[diverged["x"] == 0]["run"].nunique()
    if at_zero:
        _cross(ax, 0.02, _FOOT, ax.transAxes, at_zero, NEUTRAL)


def _cross(ax: Axes, x: float, y: float, transform: Transform, count: int, color: str) -> None:
    ax.plot([x], [y], "x", transform=transform, color=color, markersize=4, markeredgewidth=1.3, clip_on=False)
    if count > 1:
        ax.annotate(
            str(count), (x, y), xycoords=transform, xytext=(3.5, 0), textcoords="offset points",
            va="center_baseline", fontsize=SMALLEST, color=color,
        )  # fmt: skip


def _set_axes(curves: Curves, panels: Panels, titles: Mapping[str, str]) -> None:
    figure = curves.figure
    xs = np.array(sorted({float(x) for x in curves.runs["x"] if x > 0}))
    pad = (xs[-1] / xs[0]) ** 0.07 if len(xs) > 1 else 2.0
    width = panel_width(len(curves.columns))
    for (row, column), ax in panels.items():
        ax.set_xscale("log")
        ax.set_xlim(xs[0] / pad, xs[-1] * pad)
        ax.set_ylim(*_limits(curves, row, column))
        if row == 0:
            heading = drawn(axis_label(figure.columns, curves.columns[column], titles))
            ax.set_title(wrap(heading, NORMAL, width))
        if column == 0:
            name = wrap(drawn(axis_label(figure.rows, curves.rows[row], titles)), NORMAL, PANEL_HEIGHT * 72 - 12)
            metric = wrap(drawn(metric_title(figure.y, figure.report)), NORMAL, PANEL_HEIGHT * 72 - 12)
            ax.set_ylabel(f"{name}\n{metric}".lstrip())
        if row == len(curves.rows) - 1:
            ax.set_xlabel(wrap(drawn(axis_title(figure.x)), NORMAL, width))
        if is_accuracy(figure.y):
            ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.10g}")


def _limits(curves: Curves, row: int, column: int) -> tuple[float, float]:
    """Panels of one setup have one range, so that their heights can be compared."""
    here = set(_panel(curves.runs, row, column)["setup"])
    runs = curves.runs[curves.runs["setup"].isin(here)]
    points = curves.points[curves.points["setup"].isin(here)]
    diverging = len(_diverging(curves)) or int((runs["status"] == "diverged").any())
    return value_limits(
        runs["_y"].to_numpy(float),
        points[["ci_low", "ci_high"]].to_numpy(float),
        _bounds(curves),
        foot=_FOOT + _FOOT_ROW * (diverging - 1) if diverging else 0.0,
    )


def _legend(curves: Curves, styles: list[LineStyle], baselines: list[Baseline]) -> list[Line2D | Patch]:
    shown = curves.runs[curves.runs["x"] > 0]
    entries: list[Line2D | Patch] = []
    for line, (value, style) in enumerate(zip(curves.lines, styles, strict=True)):
        if (shown["line"] == line).any():
            label = drawn(axis_label(curves.line_axis, value, {}))
            entries.append(
                Line2D(
                    [], [], color=style.color, marker=style.marker, markeredgecolor="white", markeredgewidth=0.5,
                    label=label, **_size(line),
                )
            )  # fmt: skip
    entries += [
        Line2D([], [], color=b.color, linestyle=b.dashes, linewidth=1.0, alpha=0.75, label=drawn(b.label))
        for b in baselines
        if any(point["n_seeds"] for point in b.points.values())
    ]
    if (curves.points["n_seeds"] > 1).any():
        entries.append(
            Line2D(
                [], [], color=NEUTRAL, marker=".", linestyle="", markeredgewidth=0, label="One seed (beside its mean)"
            )
        )
        entries.append(Patch(color=NEUTRAL, alpha=0.2, linewidth=0, label="95 % interval of the mean"))
    if (curves.runs["status"] == "diverged").any():
        entries.append(Line2D([], [], color=NEUTRAL, marker="x", linestyle="", markersize=4, label="Diverged runs"))
    return entries
