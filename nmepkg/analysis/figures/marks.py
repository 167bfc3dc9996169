"""What is drawn in a panel of a figure of curves: means, intervals, seeds, baselines, diverged runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation, Transform

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures.baselines import Baseline
from nmepkg.analysis.style import NEUTRAL, SMALLEST, LineStyle

_FOOT, _FOOT_ROW = 0.05, 0.075  # height of the lowest row of crosses, and between rows, as fractions of the panel's
_FOOT_MOST = 0.6  # of the panel's height, for all rows
_BASELINE_SEEDS = 0.012  # where a baseline's seeds lie, as a fraction of the panel's width
_MOST_MARKERS = 15  # of one curve
LEFT = (0, (1.5, 1.0))  # dashes of a mean over the runs that are left


def size(line: int) -> dict[str, Any]:
    """Later curves are drawn over earlier ones, so they're a little smaller: where two coincide, both are seen."""
    shrink = 0.9**line
    return {"linewidth": 1.7 * shrink, "markersize": 5.6 * shrink}


def intervals(points: pd.DataFrame) -> pd.DataFrame:
    """``ci_low`` and ``ci_high`` where a figure shows them, elsewhere NaN: the mean of at least three seeds.

    That of two reaches 6.4 times their distance to either side: it would hide what the seeds, which are drawn, show. It is in
    the table.
    """
    return points[["ci_low", "ci_high"]].where(points["n_seeds"] >= 3)


def draw_interval(ax: Axes, points: pd.DataFrame, style: LineStyle, bounds: tuple[float, float]) -> None:
    """The band of the means' intervals."""
    drawn = intervals(points).clip(*bounds)
    low, high = drawn["ci_low"], drawn["ci_high"]
    ax.fill_between(points["x"], low, high, color=style.color, alpha=0.14, linewidth=0)


def draw_mean(ax: Axes, points: pd.DataFrame, style: LineStyle, line: int, **more: Any) -> None:
    """The means over seeds."""
    look: dict[str, Any] = {
        "color": style.color,
        "marker": style.marker,
        "markevery": max(1, -(-len(points) // _MOST_MARKERS)),
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
        "zorder": 3,
    }
    ax.plot(points["x"], points["mean"], **look | size(line) | more)


def draw_mean_trajectory(ax: Axes, points: pd.DataFrame, style: LineStyle, line: int) -> None:
    """The means over seeds along training, dashed where they are those of the runs that have not diverged."""
    if (points["n_diverged"] > 0).any():
        draw_mean(ax, points, style, line, linestyle=LEFT)
    draw_mean(ax, points.assign(mean=points["mean"].where(points["n_diverged"] == 0)), style, line)


def has_survivors(points: pd.DataFrame) -> bool:
    """Whether some mean is only that of the runs that have not diverged."""
    return bool(((points["n_seeds"] > 0) & (points["n_diverged"] > 0)).any())


def draw_seeds(ax: Axes, runs: pd.DataFrame, style: LineStyle, line: int) -> None:
    """Every seed as a dot beside the mean's marker, which would cover them: left and right in turn."""
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


def draw_trajectories(ax: Axes, runs: pd.DataFrame, style: LineStyle) -> None:
    """Every run as a thin line through its training, broken where it has no value."""
    for _, run in runs.groupby("run"):
        alone = run["_y"].count() == 1  # a line needs two
        ax.plot(
            run["x"],
            run["_y"],
            color=style.color,
            linewidth=0.6,
            alpha=0.5,
            marker="." if alone else "",
            markersize=3,
            zorder=2.5,
        )


def followed(points: pd.DataFrame) -> pd.DataFrame:
    """Of a curve over steps, the points where every run was looked at: diverged runs end at steps of their own."""
    looked_at = points["n_seeds"] + points["n_diverged"]
    return points[looked_at == looked_at.max()]


def draw_baseline(
    ax: Axes, baseline: Baseline, point: pd.Series, runs: pd.DataFrame, bounds: tuple[float, float]
) -> None:
    """Training without the method, as a horizontal line with its interval and seeds; ``runs`` are those of its point."""
    if point["n_seeds"] == 0:
        return
    if point["n_seeds"] > 1:
        low, high = intervals(point.to_frame().T.infer_objects()).clip(*bounds).iloc[0]
        if np.isfinite(low):
            ax.axhspan(low, high, color=baseline.color, alpha=0.08, linewidth=0, zorder=0.5)
        seeds = runs["_y"].dropna()
        ax.plot(
            np.full(len(seeds), _BASELINE_SEEDS),
            seeds,
            ".",
            transform=ax.get_yaxis_transform(),
            color=baseline.color,
            alpha=0.6,
            markersize=3.5,
            markeredgewidth=0,
        )
    ax.axhline(point["mean"], color=baseline.color, linestyle=baseline.dashes, linewidth=1.0, alpha=0.75, zorder=2)


@dataclass(frozen=True)
class Diverged:
    """Rows of crosses at the foot of every panel, the last one lowest.

    Attributes:
      crosses: runs with a cross, of the figure's runs.
      foot: line -> its row; lines that lose the same runs at the same x share one.
      colors: of the rows.
      beside: whether there is one more row above them, for runs at a strength of 0, which has no place on the axis.
    """

    crosses: pd.DataFrame
    foot: Mapping[int, int]
    colors: list[str]
    beside: bool

    @property
    def height(self) -> float:
        """Fraction of a panel that the crosses take."""
        rows = len(self.colors) + self.beside
        return _FOOT + self.gap * (rows - 1) if rows else 0.0

    @property
    def gap(self) -> float:
        """Between two rows: of many they are closer, so that most of the panel is left."""
        rows = len(self.colors) + self.beside
        return min(_FOOT_ROW, _FOOT_MOST / rows) if rows else 0.0


def find_diverged(curves: Curves, styles: list[LineStyle]) -> Diverged:
    """Which diverged runs have a cross, and where. Of a run's training, only where each gap in its values begins."""
    lost = curves.runs["_y"].isna()
    if curves.has_trajectories:
        lost &= ~lost.groupby(
            [curves.runs["line"], curves.runs["row"], curves.runs["column"], curves.runs["run"]]
        ).shift(fill_value=False)
    crosses = curves.runs[lost].copy()
    if curves.has_trajectories:
        crosses["x"] = _next_steps(curves, crosses)
    there = curves.on_axis(crosses)
    beside = len(there) < len(crosses)
    lines = sorted(set(there["line"].tolist()))
    losses = [_losses(there[there["line"] == line]) for line in lines]
    if len(lines) > 1 and len(lines) == len(curves.lines) and all(loss == losses[0] for loss in losses):
        return Diverged(crosses, dict.fromkeys(lines, 0), [NEUTRAL], beside)
    return Diverged(
        crosses, {line: row for row, line in enumerate(lines)}, [styles[line].color for line in lines], beside
    )


def _next_steps(curves: Curves, crosses: pd.DataFrame) -> pd.Series:
    """The first steps by which these runs had diverged at which all runs of their setups are looked at."""
    x = crosses["x"].copy()
    for setup, mine in crosses.groupby("setup"):
        steps = np.unique(followed(curves.points[curves.points["setup"] == setup])["x"])
        place = np.searchsorted(steps, mine["x"])
        x[mine.index] = np.where(place < len(steps), steps[np.minimum(place, len(steps) - 1)], mine["x"])
    return x


def _losses(crosses: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(crosses[["row", "column", "x", "run"]].itertuples(index=False, name=None))


def draw_diverged(ax: Axes, curves: Curves, diverged: Diverged, row: int, column: int) -> None:
    """The crosses of a panel, with their number where there are several."""
    here = diverged.crosses[(diverged.crosses["row"] == row) & (diverged.crosses["column"] == column)]
    on_axis = curves.on_axis(here)
    places = {
        (x, diverged.foot[line], run)
        for x, line, run in zip(on_axis["x"], on_axis["line"], on_axis["run"], strict=True)
    }
    for (x, foot), count in Counter((x, foot) for x, foot, _ in places).items():
        height = _FOOT + diverged.gap * (len(diverged.colors) - 1 - foot)
        _cross(ax, x, height, ax.get_xaxis_transform(), count, diverged.colors[foot])
    beside = here.drop(on_axis.index)["run"].nunique()  # strength 0, on a logarithmic axis
    if beside:
        _cross(ax, 0.02, _FOOT + diverged.gap * len(diverged.colors), ax.transAxes, beside, NEUTRAL)


def _cross(ax: Axes, x: float, y: float, transform: Transform, count: int, color: str) -> None:
    ax.plot([x], [y], "x", transform=transform, color=color, markersize=4, markeredgewidth=1.3, clip_on=False)
    if count > 1:
        ax.annotate(
            str(count), (x, y), xycoords=transform, xytext=(3.5, 0), textcoords="offset points",
            va="center_baseline", fontsize=SMALLEST, color=color,
        )  # fmt: skip
