"""The legend of a figure of curves: its lines, and what every other mark of it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures import marks
from nmepkg.analysis.figures.baselines import Baseline
from nmepkg.analysis.figures.marks import Slot
from nmepkg.analysis.labels import drawn, number
from nmepkg.analysis.style import NEUTRAL, LineStyle

Entry = Line2D | Patch | ErrorbarContainer
CHANCE: dict[str, Any] = {"color": NEUTRAL, "linestyle": (0, (1, 2.5)), "linewidth": 0.9}


def legend_entries(
    curves: Curves, styles: list[LineStyle], slots: list[Slot], baselines: list[Baseline], chance: Iterable[float]
) -> list[Entry]:
    """The entries in their order, each only where the figure has it.

    Args:
      slots: where the lines are drawn, in the first panel.
      chance: accuracies of guessing that are drawn.
    """
    entries: list[Entry] = [*_lines(curves, styles, slots), *_baselines(baselines)]
    if levels := sorted(set(chance)):
        label = f"Chance ({', '.join(f'{number(round(100 * level, 1))} %' for level in levels)})"
        entries.append(Line2D([], [], label=label, **CHANCE))
    if (curves.points["n_seeds"] > 1).any():
        entries += _seeds(curves, slots)
    if marks.has_survivors(curves.points):
        entries.append(
            Line2D(
                [], [], color=NEUTRAL, linewidth=marks.THIN, linestyle=marks.LEFT, marker="o", markersize=4.5,
                markerfacecolor="white", label="Mean of the runs left",
            )
        )  # fmt: skip
    if curves.runs["_y"].isna().any():
        label = "Diverged by this step" if curves.has_trajectories else "Diverged runs"
        entries.append(Line2D([], [], color=NEUTRAL, marker="x", linestyle="", markersize=4, label=label))
    return entries


def _lines(curves: Curves, styles: list[LineStyle], slots: list[Slot]) -> list[Entry]:
    shown = set(curves.on_axis(curves.runs)["line"])
    return [
        Line2D(
            [], [], color=style.color, marker=style.marker, linestyle=style.line, markeredgecolor="white",
            markeredgewidth=0.5, label=drawn(curves.label(curves.line_axis, value)),
            **marks.size(line, slots[line]),
        )
        for line, (value, style) in enumerate(zip(curves.lines, styles, strict=True))
        if line in shown
    ]  # fmt: skip


def _baselines(baselines: list[Baseline]) -> list[Entry]:
    return [
        Line2D([], [], color=b.color, linestyle=b.dashes, linewidth=1.0, alpha=0.75, label=drawn(b.label))
        for b in baselines
        if any(point["n_seeds"] for point in b.points.values())
    ]


def _seeds(curves: Curves, slots: list[Slot]) -> list[Entry]:
    if curves.has_trajectories:
        return [
            Line2D(
                [],
                [],
                color=NEUTRAL,
                linewidth=0.6,
                alpha=0.7,
                label=f"One of {_seeds_of(marks.followed(curves.points))}",
            )
        ]
    label = f"One of {_seeds_of(curves.points)} (beside its mean)"
    entries: list[Entry] = [
        Line2D([], [], color=NEUTRAL, marker=".", linestyle="", markeredgewidth=0, label=label),
    ]
    there = curves.points[marks.intervals(curves.points).notna().all(axis=1)]
    if len(there):
        label = f"95 % interval (Student-t, {_seeds_of(there)})"
        entries.append(_bar(label) if slots[0].room else Patch(color=NEUTRAL, alpha=0.2, linewidth=0, label=label))
    return entries


def _seeds_of(points: pd.DataFrame) -> str:
    """``3 seeds``, ``2–3 seeds``."""
    seeds = points["n_seeds"] + points["n_diverged"]
    low, high = seeds.min(), seeds.max()
    return f"{low} seeds" if low == high else f"{low}–{high} seeds"


def _bar(label: str) -> ErrorbarContainer:
    caps = Line2D([], [], color=NEUTRAL, marker="_", markersize=4, markeredgewidth=marks.THIN, linestyle="")
    bars = LineCollection([], colors=NEUTRAL, linewidths=marks.THIN)
    return ErrorbarContainer((Line2D([], [], linestyle=""), (caps,), (bars,)), has_yerr=True, label=label)
