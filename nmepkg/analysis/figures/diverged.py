"""Runs that diverged: crosses in a strip below a panel, outside its axis, where their height reads as no number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Transform

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures.marks import followed
from nmepkg.analysis.style import NEUTRAL, LineStyle, smallest

_ROW, _MOST, _AIR = 0.12, 1.0, 0.05  # inches: a row of crosses, all of them, what is free above and below
_BESIDE = 0.02  # fraction of the width at which a strength of 0 lies


@dataclass(frozen=True)
class Diverged:
    """Rows of crosses in the strip of every panel.

    Attributes:
      crosses: runs with a cross, of the figure's runs.
      row: line -> its row, from the top; lines that lose the same runs at the same x share one.
      colors: of the rows.
      beside: whether there is one more row below them, for runs at a strength of 0, which has no place on the axis.
    """

    crosses: pd.DataFrame
    row: Mapping[int, int]
    colors: list[str]
    beside: bool

    @property
    def rows(self) -> int:
        return len(self.colors) + self.beside

    def height(self, row: int) -> float:
        """Inches of the strip below a row of panels; 0 where none of its runs diverged."""
        if not (self.crosses["row"] == row).any():
            return 0.0
        return min(self.rows * _ROW, _MOST) + _AIR


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
    """The strip of a panel: its crosses, with their number where there are several."""
    ax.set_ylim(diverged.rows - 0.5, -0.5)
    ax.set_yticks([(diverged.rows - 1) / 2], ["diverged" if column == 0 else ""])
    ax.tick_params(axis="y", length=0)
    ax.grid(False)
    ax.set_facecolor("#f3f3f3")
    ax.spines["left"].set_visible(False)
    here = diverged.crosses[(diverged.crosses["row"] == row) & (diverged.crosses["column"] == column)]
    on_axis = curves.on_axis(here)
    places = {
        (x, diverged.row[line], run) for x, line, run in zip(on_axis["x"], on_axis["line"], on_axis["run"], strict=True)
    }
    for (x, place), count in Counter((x, place) for x, place, _ in places).items():
        _cross(ax, x, place, ax.transData, count, diverged.colors[place])
    beside = here.drop(on_axis.index)["run"].nunique()  # strength 0, on a logarithmic axis
    if beside:
        _cross(ax, _BESIDE, diverged.rows - 1, ax.get_yaxis_transform(), beside, NEUTRAL)


def _cross(ax: Axes, x: float, y: float, transform: Transform, count: int, color: str) -> None:
    ax.plot([x], [y], "x", transform=transform, color=color, markersize=4, markeredgewidth=1.3, clip_on=False)
    if count > 1:
        ax.annotate(
            str(count), (x, y), xycoords=transform, xytext=(3.5, 0), textcoords="offset points",
            va="center_baseline", fontsize=smallest(), color=color,
        )  # fmt: skip
