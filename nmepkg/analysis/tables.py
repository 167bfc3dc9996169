"""The tables of a figure as they are written; docs/tables.md says what every column of them is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nmepkg.analysis.curves import PLACE, Curves
from nmepkg.analysis.figures.differences import find_differences
from nmepkg.analysis.landscapes import MAPS
from nmepkg.analysis.planes import Planes
from nmepkg.analysis.quantities import bounds
from nmepkg.files import written_whole
from nmepkg.registry import STRENGTHS

# Drawing has mean, min and max, tables y_mean …: `points.mean` is a method of pandas, and the study's keys are x and y.
_POINTS = {name: f"y_{name}" for name in ("mean", "ci_low", "ci_high", "sd", "min", "max")}
_RUNS = {"_quantity": "y_name", "_y": "y", "se": "y_se"}
_COUNTS = ("diverged_step", "final_epoch", "best_validation_epoch", "median_last_evaluations")


def tables(curves: Curves) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and runs of a figure of curves, without what only drawing needs.

    Bounds of an interval are cut to what its quantity can be. Every curve keeps its points of strength 0, whose runs curves of
    other methods have too: ``repeated`` marks those that an earlier row has, as a pivoted table wants them, and a sum does not.
    """
    points = _bounded(_with_differences(curves), curves.figure.y_scale == "log").rename(columns=_POINTS)
    runs = curves.runs.rename(columns=_RUNS)
    runs = runs.astype({name: "Int64" for name in _COUNTS if name in runs})  # whole numbers, where some are missing too
    points.insert(list(points).index("runs"), "repeated", _repeated(points, "runs", "measurements"))
    runs.insert(list(runs).index("run"), "repeated", _repeated(runs, "run", "measurement"))
    return _shown(points), _shown(runs)


def landscape_table(keys: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The numbers of one panel, a row a point: the keys, w1, w2, loss, norm_N, norm_N_layer, norm_G.

    Args:
      keys: columns that say which panel it is.
      arrays: w1 (A,), w2 (B,), and maps (B, A) of a landscape.
    """
    w1, w2 = np.meshgrid(arrays["w1"], arrays["w2"])
    return pd.DataFrame({**keys, "w1": w1.ravel(), "w2": w2.ravel(), **{key: arrays[key].ravel() for key in MAPS}})


def plane_tables(planes: Planes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and runs of a figure of planes: a row for each a and b of each plane that is measured, and a row a plane."""
    points, runs = [], []
    for plane in planes.planes:
        a, b = np.meshgrid(plane.coordinates, plane.coordinates)
        maps = {"a": a, "b": b, "loss": plane.loss, "accuracy": plane.accuracy}
        if plane.coordinates.size:
            keys = {**plane.labels, "seed": plane.described["seed"]}
            points.append(pd.DataFrame({**keys, **{name: values.ravel() for name, values in maps.items()}}))
        runs.append({**plane.labels, "directions": planes.measured["directions"], **plane.described})
    empty = pd.DataFrame(columns=[*planes.planes[0].labels, "seed", "a", "b", "loss", "accuracy"])
    table = pd.DataFrame(runs).drop(columns="se").astype(dict.fromkeys(("step", "diverged_step"), "Int64"))
    return _shown(pd.concat(points, ignore_index=True) if points else empty), _shown(table)


def write_tables(points: pd.DataFrame, runs: pd.DataFrame, stem: Path) -> None:
    """What a figure draws and what is behind it, as CSV with full precision; an empty field is a missing number."""
    for suffix, frame in ((".csv", points), (".runs.csv", runs)):
        text = frame.to_csv(index=False, lineterminator="\n")
        with written_whole(stem.with_name(f"{stem.name}{suffix}")) as file:
            file.write(text.encode())


def _bounded(points: pd.DataFrame, ratios: bool) -> pd.DataFrame:
    """Points whose intervals hold nothing that a quantity of [low, high], or a difference of two, cannot be."""
    low, high = np.array([bounds([name]) for name in points["y_name"]]).T
    of = {"": (low, high), "change_": (low - high, high - low), "train_accuracy_": bounds(["train_accuracy"])}
    of |= {} if ratios else {"difference_": of["change_"]}
    columns = {f"{prefix}{end}": limits for prefix, limits in of.items() for end in ("ci_low", "ci_high")}
    return points.assign(**{name: np.clip(points[name], *limits) for name, limits in columns.items() if name in points})


def _with_differences(curves: Curves) -> pd.DataFrame:
    """Points with their differences to the first line, as drawn below the panels; those to strength 0 every table has."""
    points = curves.points
    if curves.figure.differences != "first_line":
        return points
    place, found = [*PLACE, "setup", "y_name", "x"], find_differences(curves).points
    found = found[[*place, "n_seeds", "mean", "ci_low", "ci_high"]]
    names = {name: f"difference_{name}" for name in found if name not in place}
    found = found.rename(columns=names).astype({"x": float, "difference_n_seeds": "Int64"})
    joined = points.merge(found, on=place, how="left")
    order = list(points)
    order[order.index("runs") : order.index("runs")] = names.values()
    return joined[order]


def _repeated(table: pd.DataFrame, *identity: str) -> pd.Series:
    """Whether the number of a row is that of an earlier one: of the same runs, measured at the same place and radius."""
    return table.duplicated([name for name in (*identity, "y_name", "at", "radius") if name in table])


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    twice = ("quantity", *STRENGTHS)  # axes that every table has under names of its own, y_name and strength
    return table.drop(columns=[name for name in table if str(name).startswith("_") or name in (*PLACE, *twice)])
