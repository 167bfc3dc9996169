"""Paired differences over seeds between the curves of a figure: what the seeds share is taken out of them.

Where the figure's values are on a logarithmic axis, its differences are those of logarithms, which is to say ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nmepkg.analysis.curves import PLACE, Curves
from nmepkg.analysis.statistics import mean_interval

_PANEL = ["row", "column", "setup", "_quantity"]


@dataclass(frozen=True)
class Differences:
    """Differences d = y − y₀ to the first line at the same x, or to the same line at strength 0, seed by seed.

    Attributes:
      runs: a row a run that has a partner: where it is drawn, ``x``, ``seed``, ``run`` and ``_y``, which is d or a ratio; NaN
        where one of the two diverged, or has no logarithm.
      points: their means over seeds, in the columns of the points of curves: ``n_seeds``, ``n_diverged``, ``mean``, ``ci_low``,
        ``ci_high``.
      ratios: whether d is log y − log y₀; then ``_y``, ``mean``, … are exp of it, y / y₀ and its geometric mean.
    """

    runs: pd.DataFrame
    points: pd.DataFrame
    ratios: bool = False


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
    ratios = curves.figure.y_scale == "log"
    if ratios:
        logs = np.log(pairs[["_y", "_y_partner"]].where(lambda y: y > 0))
        pairs["_y"] = logs["_y"] - logs["_y_partner"]
    else:
        pairs["_y"] -= pairs["_y_partner"]
    records = []
    for place, point in pairs.groupby([*PLACE, "setup", "_quantity", "x"]):
        d = mean_interval(point["_y"].dropna().to_list())
        record = dict(zip([*PLACE, "setup", "y_name", "x"], place, strict=True))
        counts = {"n_seeds": d.n, "n_diverged": len(point) - d.n}
        records.append({**record, **counts, "mean": d.mean, "ci_low": d.low, "ci_high": d.high})
    names = [*PLACE, "setup", "y_name", "x", "n_seeds", "n_diverged", "mean", "ci_low", "ci_high"]
    points = pd.DataFrame(records, columns=names)
    if ratios:
        points[names[-3:]], pairs["_y"] = np.exp(points[names[-3:]].astype(float)), np.exp(pairs["_y"])
    return Differences(pairs, points, ratios)
