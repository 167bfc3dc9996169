"""Tables behind a figure of curves: one row a run, and one row a point with its mean over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nmepkg.analysis.labels import STRENGTHS, SYMBOLS, activation_label, method_label, number
from nmepkg.analysis.results import metric, result_path
from nmepkg.analysis.statistics import Estimate, mean_interval, paired_difference
from nmepkg.errors import UserError
from nmepkg.registry import METHODS
from nmepkg.study.spec import Cell, Figure

VERSIONS = ("nmepkg", "python", "jax", "flax", "optax", "numpy", "device", "platform")
PLACE = ["row", "column", "line"]  # internal columns: where a run is drawn


@dataclass(frozen=True)
class Curves:
    """A figure's runs, the points they make, and the values of the axes in the study's order.

    ``runs`` and ``points`` hold the indices ``row``, ``column``, ``line`` into ``rows``, ``columns`` and ``lines``.
    """

    figure: Figure
    rows: list[Any]
    columns: list[Any]
    lines: list[Any]
    runs: pd.DataFrame
    points: pd.DataFrame

    @property
    def line_axis(self) -> str:
        """What tells the lines apart: a figure that names nothing has one method, which names its line."""
        return self.figure.lines or "method"

    @property
    def has_baseline(self) -> bool:
        """Whether x is a strength, so that x = 0 is training without the method."""
        return self.figure.x in STRENGTHS


def axis_value(figure: Figure, cell: Cell, axis: str | None) -> Any:
    """Where a cell lies on an axis of the figure: the name of its setup, a method without its strength, a number …

    An option of a method or activation that has an axis of its own (β) tells no two methods or activations apart.
    """
    if axis is None:
        return None
    if axis in STRENGTHS:
        kind = METHODS[cell.method["name"]].strength
        if kind not in (axis, None):
            raise UserError(
                f"figure {figure.name!r}: it shows {axis}, but {cell.method['name']!r} has {kind}; draw them in two figures"
            )
        return cell.strength
    if axis in ("method", "activation"):
        entry = getattr(cell, axis)
        return {key: value for key, value in entry.items() if key not in (*_axes(figure), *STRENGTHS, "strength")}
    if axis in ("experiment", "setup"):
        return getattr(cell, axis)
    return cell.axes[axis]


def axis_label(axis: str | None, value: Any, titles: Mapping[str, str]) -> str:
    """The text of an axis's value in a figure; ``titles`` are those of the setups."""
    if axis is None:
        return ""
    if axis == "setup":
        return titles.get(value) or value
    if axis == "method":
        return method_label(value)
    if axis == "activation":
        return activation_label(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{SYMBOLS.get(axis, axis)} = {number(value)}"
    return str(value)


def collect(figure: Figure, cells: Sequence[Cell], results: Mapping[str, Mapping[str, Any]], store: Path) -> Curves:
    """Places every cell of ``figure`` and takes means over seeds.

    A cell is drawn once even where two experiments of the figure hold it.

    Raises:
      UserError: no cell; an x that isn't a number, or can't go on a logarithmic axis; a metric that a run lacks.
    """
    if not cells:
        raise UserError(f"figure {figure.name!r}: its experiments have no runs")
    rows: list[Any] = []
    columns: list[Any] = []
    lines: list[Any] = []
    records: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in cells:
        x = _x(figure, cell)
        place = [
            _index(values, axis_value(figure, cell, axis))
            for values, axis in ((rows, figure.rows), (columns, figure.columns), (lines, figure.lines or "method"))
        ]
        result = results[cell.run_id]
        key = (*place, x, cell.seed)
        if key in records and records[key]["run"] != cell.run_id:
            raise UserError(
                f"figure {figure.name!r}: runs {records[key]['run']} and {cell.run_id} fall on one point and seed; "
                "give what they differ in to rows, columns or lines"
            )
        records[key] = dict(zip(PLACE, place, strict=True)) | _record(figure, cell, x, result, store)
    runs = pd.DataFrame(list(records.values())).sort_values([*PLACE, "x", "seed"], ignore_index=True)
    if not (runs["x"] > 0).any():
        raise UserError(f"figure {figure.name!r}: no value of {figure.x} above 0 to draw")
    return Curves(figure, rows, columns, lines, runs, _points(figure, runs))


def _record(figure: Figure, cell: Cell, x: float, result: Mapping[str, Any], store: Path) -> dict[str, Any]:
    path = result_path(store, cell.run_id)
    provenance = result["provenance"]
    record: dict[str, Any] = {"figure": figure.name}
    if "experiment" in (figure.rows, figure.columns, figure.lines):
        record["experiment"] = cell.experiment
    record |= {
        "setup": cell.setup,
        "method": method_label(axis_value(figure, cell, "method")),
        "activation": activation_label(axis_value(figure, cell, "activation")),
    }
    for axis in (figure.rows, figure.columns, figure.lines):
        if axis is not None and axis not in record:
            record[axis] = axis_value(figure, cell, axis)
    record |= {"x_name": figure.x, "x": x, "seed": cell.seed, "run": cell.run_id, "status": result["status"]}
    completed = result["status"] == "completed"
    record["_y"] = metric(result, figure.report, figure.y, path) if completed else None
    record["_train"] = metric(result, figure.report, "train_accuracy", path) if completed else None
    for report in ("final", "best_validation"):
        row = result[report] or {}
        record |= {f"{report}_{name}": row.get(name) for name in result["history"][0] if name != "step"}
    record["code"] = provenance.get("code")
    return record | {name: provenance.get(name) for name in VERSIONS}


def _points(figure: Figure, runs: pd.DataFrame) -> pd.DataFrame:
    measured = ("figure", "x_name", "x", "seed", "run", "status", "_y", "_train", "code", *VERSIONS)
    axes = [c for c in runs.columns if c not in measured and not c.startswith(("final_", "best_validation_"))]
    records = []
    for _, curve in runs.groupby(PLACE, sort=False):
        completed = curve[curve["status"] == "completed"]
        baseline = _by_seed(completed[completed["x"] == 0])
        for x, point in curve.groupby("x"):
            good = point[point["status"] == "completed"]
            y = mean_interval(good["_y"].to_list())
            train = mean_interval(good["_train"].to_list())
            change = paired_difference(_by_seed(good), baseline) if x != 0 else mean_interval([])
            first = point.iloc[0]
            records.append(
                {name: first[name] for name in ["figure", *axes, "x_name", "x"]}
                | {
                    "y_name": figure.y,
                    "report": figure.report,
                    "n_seeds": len(good),
                    "n_diverged": len(point) - len(good),
                }
                | _columns("", y)
                | _columns("train_accuracy_", train)
                | {"change_n_seeds": change.n}
                | _columns("change_", change)
                | {"runs": " ".join(point["run"])}
            )
    return pd.DataFrame(records)


def _columns(prefix: str, estimate: Estimate) -> dict[str, float]:
    return {f"{prefix}mean": estimate.mean, f"{prefix}ci_low": estimate.low, f"{prefix}ci_high": estimate.high}


def _by_seed(runs: pd.DataFrame) -> dict[int, float]:
    return dict(zip(runs["seed"], runs["_y"], strict=True))


def _x(figure: Figure, cell: Cell) -> float:
    value = axis_value(figure, cell, figure.x)
    if value is None and figure.x in STRENGTHS:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"figure {figure.name!r}: x is {figure.x}, which is {value!r} in a run; it must be a number")
    if value < 0 or (value == 0 and figure.x not in STRENGTHS):
        raise UserError(f"figure {figure.name!r}: {figure.x} = {value} can't be drawn on a logarithmic axis")
    return float(value)


def _axes(figure: Figure) -> list[str]:
    return [axis for axis in (figure.x, figure.rows, figure.columns, figure.lines) if axis is not None]


def _index(values: list[Any], value: Any) -> int:
    if value not in values:
        values.append(value)
    return values.index(value)
