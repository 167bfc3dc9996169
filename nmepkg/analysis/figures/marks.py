"""What is drawn in a panel of a figure of curves: means, intervals, seeds, baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.transforms import ScaledTranslation, Transform

from nmepkg.analysis.figures.baselines import Baseline
from nmepkg.analysis.style import LineStyle

_SLOT, _LEAST = 10.0, 4.0  # points: the room of a line at one x, and the least that is worth it
_SPAN = 0.75  # of the panel, about, lies between the first x and the last
_DOTS, _APART = 0.4, 1.7  # where in its slot a line's dots begin, and points between two of them
_TAKEN = 0.7  # of the way from one x to the next, by all slots
_MOST_MARKERS = 15  # of one curve
LEFT = (0, (0.8, 1.6))  # dots between means of which one is only of the runs that are left
THIN = 0.9  # of those, and of error bars


@dataclass(frozen=True)
class Slot:
    """Where a line is drawn about each x, on screen and in points.

    Attributes:
      aside: from x to the line.
      room: that it has of its own; 0 where lines are drawn over one another.
      seeds: from the line to the first seed's dot; others follow in the same direction.
    """

    aside: float
    room: float
    seeds: float


def stacked(lines: int) -> list[Slot]:
    """The slots of lines that stay at their x, one over the other, with dots left and right of them in turn."""
    return [Slot(0, 0, (4.5 + 2.0 * (line // 2)) * (1 if line % 2 else -1)) for line in range(lines)]


def side_by_side(x: np.ndarray, scale: str, width: float, lines: int) -> list[Slot]:
    """The slots of lines whose bars would cover each other; :func:`stacked` where values of x are too dense for that.

    Args:
      x: its values, increasing, on a ``linear`` or ``log`` axis that is ``width`` inches wide.
    """
    places = np.log10(x) if scale == "log" else x
    nearest = np.diff(places).min() / np.ptp(places) * 72 * _SPAN * width if len(x) > 1 else np.inf
    room = min(_SLOT, _TAKEN * nearest / lines)
    if room < _LEAST:
        return stacked(lines)
    return [Slot((line - (lines - 1) / 2) * room, room, _DOTS * room) for line in range(lines)]


def reach(slots: list[Slot]) -> float:
    """How far lines are drawn to either side of an x, in inches."""
    return max(max(abs(slot.aside) + 0.6 * slot.room, abs(slot.seeds) + 2) for slot in slots) / 72


def reach_of_baselines(number: int) -> float:
    """What the points of baselines take at the beginning of the axis, in inches."""
    return number * _SLOT / 72


def size(line: int, slot: Slot) -> dict[str, Any]:
    """Where lines are not side by side, later ones are drawn over earlier ones and narrower: both show."""
    if slot.room:
        return {"linewidth": 1.5, "markersize": 5.0}
    return {"linewidth": max(2.4 * 0.65**line, 1.0), "markersize": max(6.0 * 0.8**line, 3.0)}


def intervals(points: pd.DataFrame) -> pd.DataFrame:
    """``ci_low`` and ``ci_high`` where a figure shows them, elsewhere NaN: the mean of at least three seeds, none of them lost.

    That of two reaches 6.4 times their distance to either side: it would hide what the seeds, which are drawn, show. It is in
    the table.
    """
    return points[["ci_low", "ci_high"]].where((points["n_seeds"] >= 3) & (points["n_diverged"] == 0))


def draw_interval(ax: Axes, points: pd.DataFrame, style: LineStyle, slot: Slot, bounds: tuple[float, float]) -> None:
    """The means' intervals: bars, as nothing is known between the values of x; a band where these are dense."""
    shown = intervals(points).clip(*bounds)
    if slot.room:
        _bars(ax, points["x"], points["mean"], shown, style.color, _moved(ax.transData, ax, slot.aside))
    else:
        low, high = shown["ci_low"], shown["ci_high"]
        ax.fill_between(points["x"], low, high, color=style.color, alpha=0.14, linewidth=0)


def _bars(ax: Axes, x: Any, mean: Any, interval: pd.DataFrame, color: str, transform: Transform) -> None:
    there = interval.notna().all(axis=1)
    reach = np.abs(interval[there].sub(mean[there], axis=0).to_numpy().T)
    ax.errorbar(
        x[there], mean[there], reach, fmt="none", ecolor=color, elinewidth=THIN, capsize=2, capthick=THIN,
        transform=transform, zorder=2.6,
    )  # fmt: skip


def _moved(transform: Transform, ax: Axes, points: float) -> Transform:
    canvas = ax.get_figure(root=True)
    assert canvas is not None
    return transform + ScaledTranslation(points / 72, 0, canvas.dpi_scale_trans)


def draw_mean(ax: Axes, points: pd.DataFrame, style: LineStyle, line: int, slot: Slot) -> None:
    """The means over seeds. One of the runs that are left has a hollow marker, and dots lead to it in place of a line."""
    left = (points["n_diverged"] > 0).to_numpy()
    transform = _moved(ax.transData, ax, slot.aside)
    look: dict[str, Any] = {
        "color": style.color,
        "marker": style.marker,
        "markevery": max(1, -(-len(points) // _MOST_MARKERS)),
        "transform": transform,
        "zorder": 3,
        **size(line, slot),
    }
    whole = points["mean"].where(~left)
    ax.plot(points["x"], whole, linestyle=style.line, markeredgecolor="white", markeredgewidth=0.5, **look)
    if (left & points["mean"].notna()).any():
        ax.plot(points["x"], points["mean"].where(left), linestyle="", markerfacecolor="white", **look)
        places = points[["x", "mean"]].to_numpy(float)
        pieces = [places[i : i + 2] for i in range(len(places) - 1) if left[i] or left[i + 1]]
        ax.add_collection(
            LineCollection(
                pieces, colors=style.color, linewidths=THIN, linestyles=[LEFT], transform=transform, zorder=2.8
            ),
            autolim=False,
        )


def has_survivors(points: pd.DataFrame) -> bool:
    """Whether some mean is only that of the runs that have not diverged."""
    return bool(((points["n_seeds"] > 0) & (points["n_diverged"] > 0)).any())


def draw_seeds(ax: Axes, runs: pd.DataFrame, style: LineStyle, slot: Slot) -> None:
    """Every seed as a dot beside the mean's marker, which would cover them; equal ones side by side."""
    there = runs.dropna(subset=["_y"])
    seeds = sorted(set(there["seed"]))
    for place, seed in enumerate(seeds):
        mine = there[there["seed"] == seed]
        aside = slot.aside + slot.seeds + np.copysign(_spread(len(seeds)) * place, slot.seeds)
        _dots(ax, mine["x"], mine["_y"], style.color, _moved(ax.transData, ax, aside))


def _spread(seeds: int) -> float:
    """Points between the dots of two seeds: many are closer, so that all have room in the slot."""
    return min(_APART, 0.4 * _SLOT / max(seeds - 1, 1))


def _dots(ax: Axes, x: Any, y: Any, color: str, transform: Transform) -> None:
    ax.plot(x, y, ".", transform=transform, color=color, alpha=0.75, markersize=3.2, markeredgewidth=0, zorder=2.5)


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
    ax: Axes, baseline: Baseline, place: int, point: pd.Series, runs: pd.DataFrame, bounds: tuple[float, float]
) -> None:
    """Training without the method, as a horizontal line; its interval and seeds lie at its beginning.

    Args:
      place: of several baselines, counted from 0: each begins a little further on.
      runs: those of its point.
    """
    if point["n_seeds"] == 0:
        return
    if point["n_seeds"] > 1:
        start = (place + 0.5) * _SLOT
        frame = point.to_frame().T.infer_objects()
        interval = intervals(frame).clip(*bounds)
        edge = ax.get_yaxis_transform()
        x = pd.Series(0.0, frame.index)
        _bars(ax, x, frame["mean"], interval, baseline.color, _moved(edge, ax, start))
        seeds = runs["_y"].dropna().to_list()
        for seed, value in enumerate(seeds):
            _dots(ax, [0], [value], baseline.color, _moved(edge, ax, start + 0.3 * _SLOT + _spread(len(seeds)) * seed))
    ax.axhline(
        point["mean"],
        color=baseline.color,
        linestyle=LEFT if point["n_diverged"] else baseline.dashes,
        linewidth=1.0,
        alpha=0.75,
        zorder=2,
    )
