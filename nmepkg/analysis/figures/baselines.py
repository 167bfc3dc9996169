"""Training without the method (strength 0): which curves of a figure share it, and what to call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.labels import base_activation_label, optimizer_label, symbol
from nmepkg.analysis.style import NEUTRAL, LineStyle

Panel = tuple[int, int]
_DASH = 4.0  # in widths of the line


@dataclass(frozen=True)
class Baseline:
    """One baseline of a figure: its label, colour and dashes, and its point in every panel that has one."""

    label: str
    color: str
    dashes: tuple[float, tuple[float, float]]
    points: dict[Panel, pd.Series]


def find_baselines(curves: Curves, styles: list[LineStyle]) -> list[Baseline]:
    """The distinct baselines of a figure.

    Curves share one where they show the same number of the same runs at strength 0, measured alike: a replaced second
    derivative does not change what SGD trains, but what is measured of it.

    A figure's only baseline is neutral grey; one of several has the colour of a curve that starts from it.
    """
    if not curves.has_baseline:
        return []
    at_zero = curves.points[curves.points["x"] == 0]
    groups: list[tuple[list[int], dict[Panel, pd.Series]]] = []
    for line in sorted(set(at_zero["line"].tolist())):
        points = at_zero[at_zero["line"] == line]
        mine = {(int(p["row"]), int(p["column"])): p for _, p in points.iterrows()}
        for members, shared in groups:
            common = mine.keys() & shared.keys()
            if common and all(_content(mine[panel]) == _content(shared[panel]) for panel in common):
                members.append(line)
                shared.update(mine)
                break
        else:
            groups.append(([line], mine))
    name = f"{optimizer_label(curves.optimizers)} ({symbol(curves.figure.x)} = 0)"
    if len(groups) == 1:
        return [Baseline(name, NEUTRAL, (0, (5, 2)), groups[0][1])]
    # Each one's dashes fall into the others' gaps: where baselines coincide, all are seen.
    gap = _DASH * (len(groups) - 1)
    return [
        Baseline(
            f"{name}, {_variant(curves, lines)}",
            styles[_plainest(curves, lines)].color,
            (-_DASH * position, (_DASH, gap)),
            points,
        )
        for position, (lines, points) in enumerate(groups)
    ]


def _content(point: pd.Series) -> tuple[Any, ...]:
    return point["runs"], point.get("measurements"), point["y_name"], point.get("at")


def _plainest(curves: Curves, lines: list[int]) -> int:
    """The line that is the baseline's own: the one that replaces no second derivative, if any."""
    return min(lines, key=lambda line: (_replaces(curves.lines[line]), line))


def _replaces(value: Any) -> bool:
    return isinstance(value, dict) and value.get("second_derivative") is not None


def _variant(curves: Curves, lines: list[int]) -> str:
    value = curves.lines[_plainest(curves, lines)]
    if _replaces(value) and curves.measured is None:
        return base_activation_label(value)
    return curves.label(curves.line_axis, value)
