"""Paired differences over seeds between the curves of a figure: what the seeds share is taken out of them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from nmepkg.analysis.curves import PLACE, Curves
from nmepkg.analysis.statistics import mean_interval

_PANEL = ["row", "column", "setup", "_quantity"]


@dataclass(frozen=True)
class Differences:
    """Differences d = y − y₀ to the first line at the same x, or to the same line at strength 0, seed by seed.

    Attributes:
      runs: a row a run that has a partner: where it is drawn, ``x``, ``seed``, ``run`` and ``_y``, which is d; NaN where one of
        the two diverged.
      points: their means over seeds, in the columns of the points of curves: ``n_seeds``, ``n_diverged``, ``mean``, ``ci_low``,
        ``ci_high``.
    """

    runs: pd.DataFrame
    points: pd.DataFrame


def find_differences(curves: Curves) -> Differences:
    """The differences that the figure's ``differences`` asks for, at every x that has a place on the axis."""
    runs = curves.runs
    if curves.figure.differences == "first_line":
        first = runs["line"] == 0
        partners, at, mine = runs[first], [*_PANEL, "x", "seed"], runs[~first]
    else:
        zero = runs["x"] == 0
        partners, at, mine = runs[zero], [*_PANEL, "line", "seed"], runs[~zero]
    pairs = curves.on_axis(mine).merge(partners[[*at, "_y"]], on=at, suffixes=("", "_partner"))
    pairs["_y"] -= pairs["_y_partner"]
    records = []
    for place, point in pairs.groupby([*PLACE, "setup", "_quantity", "x"]):
        d = mean_interval(point["_y"].dropna().to_list())
        record = dict(zip([*PLACE, "setup", "y_name", "x"], place, strict=True))
        counts = {"n_seeds": d.n, "n_diverged": len(point) - d.n}
        records.append({**record, **counts, "mean": d.mean, "ci_low": d.low, "ci_high": d.high})
    names = [*PLACE, "setup", "y_name", "x", "n_seeds", "n_diverged", "mean", "ci_low", "ci_high"]
    return Differences(pairs, pd.DataFrame(records, columns=names))
