"""Tables behind a figure of curves: one row a run (and quantity, and step), and one row a point with its mean over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nmepkg.analysis.axis_labels import axis_label
from nmepkg.analysis.keys import activation_columns, method_columns
from nmepkg.analysis.observations import Source
from nmepkg.analysis.statistics import Estimate, mean_interval, paired_difference, spread
from nmepkg.errors import UserError
from nmepkg.records import to_json
from nmepkg.registry import STRENGTHS
from nmepkg.study.axes import Observation, axis_value, clash, follows_training, in_panel, x_value
from nmepkg.study.spec import Cell, Figure

PLACE = ["row", "column", "line"]  # internal columns: where a run is drawn


@dataclass(frozen=True)
class Curves:
    """A figure's runs, the points they make, and the values of the axes in the study's order.

    ``runs`` and ``points`` hold the indices ``row``, ``column``, ``line`` into ``rows``, ``columns`` and ``lines``. Of runs,
    ``_y`` is the number drawn, NaN where the run diverged, and ``_quantity`` says which one it is.

    Attributes:
      measured: the spec of the measurement that the figure draws, or None where it draws evaluations. That of the first cell:
        those of others differ in what replaces φ'' alone.
      methods: names, in the registry, of the methods that are drawn.
      optimizers: those of the optimisers of its runs.
      titles: what figures call the setups that have a title.
    """

    figure: Figure
    rows: list[Any]
    columns: list[Any]
    lines: list[Any]
    runs: pd.DataFrame
    points: pd.DataFrame
    measured: Mapping[str, Any] | None = None
    methods: tuple[str, ...] = ()
    optimizers: tuple[str, ...] = ("sgd",)
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def line_axis(self) -> str:
        """What tells the lines apart: a figure that names nothing has one method, which names its line."""
        return self.figure.lines or "method"

    @property
    def has_baseline(self) -> bool:
        """Whether x = 0 is training without the method and has no place on the axis, which is logarithmic."""
        return self.figure.x in STRENGTHS and self.figure.x_scale == "log"

    @property
    def has_trajectories(self) -> bool:
        """Whether a curve follows runs through their training."""
        return follows_training(self.figure)

    def label(self, axis: str | None, value: Any) -> str:
        """The text of an axis's value."""
        return axis_label(axis, value, self.titles, self.measured, self.optimizers)

    def on_axis(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of ``runs`` or ``points`` whose x has a place on the axis."""
        return frame[frame["x"] > 0] if self.figure.x_scale == "log" else frame


def collect(figure: Figure, cells: Sequence[Cell], source: Source) -> Curves:
    """Places every number of every cell of ``figure`` and takes means over seeds.

    A cell is drawn once even where two experiments of the figure hold it.

    Raises:
      UserError: no cell; an x that isn't a number, or can't go on a logarithmic axis; two numbers on one point; a metric or
        quantity that a run lacks. The loader refuses such figures (:func:`nmepkg.study.placement.refuse_misplaced`).
    """
    if not cells:
        raise UserError(f"figures.{figure.name}: its experiments have no runs")
    rows: list[Any] = []
    columns: list[Any] = []
    lines: list[Any] = []
    records: dict[tuple[Any, ...], dict[str, Any]] = {}
    placed: dict[tuple[Any, ...], tuple[Cell, Observation]] = {}
    for cell in cells:
        for seen in source.observe(figure, cell):
            if not in_panel(figure, cell, seen):
                continue
            x = x_value(figure, cell, seen)
            place = [
                index(values, axis_value(figure, cell, seen, axis))
                for values, axis in ((rows, figure.rows), (columns, figure.columns), (lines, figure.lines or "method"))
            ]
            key = (*place, x, cell.seed)
            if what := clash(figure, placed.setdefault(key, (cell, seen)), (cell, seen)):
                remedy = "give what they differ in to rows, columns or lines"
                raise UserError(f"figures.{figure.name}: {what} fall on one point and seed; {remedy}")
            records[key] = (
                dict(zip(PLACE, place, strict=True))
                | labels(figure, cell, seen, source)
                | {"x_name": figure.x, "x": x, "_quantity": seen.quantity, "y_of": figure.measurement or figure.report}
                | source.describe(figure, cell, seen)
            )
    runs = pd.DataFrame(list(records.values())).sort_values([*PLACE, "x", "seed"], ignore_index=True)
    runs = runs.astype({"_y": float, "_train": float})
    if figure.x_scale == "log" and not (runs["x"] > 0).any():
        raise UserError(f"figures.{figure.name}.x: no value of {figure.x} above 0 to draw")
    content = source.measurement(figure, cells[0])
    points = _points(figure, runs, list(labels(figure, *next(iter(placed.values())), source)))
    methods = tuple(dict.fromkeys(cell.method["name"] for cell in cells))
    optimizers = tuple(dict.fromkeys(source.optimizer(cell) for cell in cells))
    return Curves(figure, rows, columns, lines, runs, points, content and content["spec"], methods, optimizers)


def labels(figure: Figure, cell: Cell, seen: Observation, source: Source) -> dict[str, Any]:
    """The columns of both tables that say where a number belongs."""
    shown = (figure.rows, figure.columns, figure.lines)
    columns: dict[str, Any] = {"figure": figure.name}
    if "experiment" in shown:
        columns["experiment"] = cell.experiment
    columns |= {"setup": cell.setup} | method_columns(cell.method, cell.strength, source.optimizer(cell))
    columns |= activation_columns(cell.activation)
    if figure.measurement is not None:
        columns |= {"quantity": seen.quantity, "at": seen.at, "step": seen.step}
        columns |= {} if seen.radius is None else {"radius": seen.radius}
    for axis in shown:
        if axis is not None and axis not in columns:
            value = axis_value(figure, cell, seen, axis)
            columns[axis] = to_json(value) if isinstance(value, Mapping) else value
    return columns


def _points(figure: Figure, runs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    records = []
    for _, curve in runs.groupby(PLACE, sort=False):
        baseline = _by_seed(curve[curve["x"] == 0]) if figure.x in STRENGTHS else {}
        for x, point in curve.groupby("x"):
            good = _by_seed(point)
            change = paired_difference(good, baseline) if x != 0 else mean_interval([])
            first = point.iloc[0]
            record = {name: first[name] for name in [*PLACE, *columns, "x_name", "x"]}
            if figure.measurement is not None:
                # Runs that diverged ended at steps of their own.
                record |= {"step": first["step"] if point["step"].nunique() == 1 else None}
            record |= {"y_name": first["_quantity"], "y_of": first["y_of"]}
            record |= {"n_seeds": len(good), "n_diverged": len(point) - len(good)}
            values = list(good.values())
            record |= _columns("", mean_interval(values)) | dict(zip(("sd", "min", "max"), spread(values), strict=True))
            if figure.measurement is None:
                record |= _columns("train_accuracy_", mean_interval(point["_train"].dropna().to_list()))
            record |= {"change_n_seeds": change.n} | _columns("change_", change)
            record |= {"runs": " ".join(point["run"])}
            if figure.measurement is not None:
                record |= {"measurements": " ".join(point["measurement"])}
            records.append(record)
    return pd.DataFrame(records).astype({"step": "Int64"} if figure.measurement is not None else {})


def _columns(prefix: str, estimate: Estimate) -> dict[str, float]:
    return {f"{prefix}mean": estimate.mean, f"{prefix}ci_low": estimate.low, f"{prefix}ci_high": estimate.high}


def _by_seed(runs: pd.DataFrame) -> dict[int, float]:
    """Seed -> value, of those that have one."""
    there = runs.dropna(subset=["_y"])
    return dict(zip(there["seed"], there["_y"], strict=True))


def index(values: list[Any], value: Any) -> int:
    """The place of a value among those that are known, to which it is added."""
    if value not in values:
        values.append(value)
    return values.index(value)
