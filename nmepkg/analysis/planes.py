"""The planes of a figure: of each experiment's first seed, by row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmepkg.analysis.curves import index, labels
from nmepkg.analysis.observations import Source
from nmepkg.errors import UserError
from nmepkg.storage import MEASUREMENT
from nmepkg.study.axes import Observation, axis_value, clash, in_panel
from nmepkg.study.spec import Cell, Figure

NUMBERS = ("loss", "accuracy", "cosine", "eigenvalue_u", "bound_u", "eigenvalue_v", "bound_v")  # of a plane as a whole


@dataclass(frozen=True)
class Plane:
    """One plane, with where it is drawn.

    Attributes:
      row, column: places among those of the figure.
      status: ``measured``, or why it is not: ``not_finite``, ``not_reached``.
      coordinates: (A,) of a and of b; empty where it is not measured.
      loss, accuracy: (A, A), a row for each b; NaN where there is no number.
      labels: the columns of tables that say what it is of.
      described: those that say what was found, and by what.
    """

    row: int
    column: int
    status: str
    coordinates: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    labels: Mapping[str, Any]
    described: Mapping[str, Any]


@dataclass(frozen=True)
class Planes:
    """A figure's planes, and the values of its axes in the study's order.

    Attributes:
      measured: the spec of their measurement; those of others differ in what replaces φ'' alone.
    """

    figure: Figure
    rows: list[Any]
    columns: list[Any]
    planes: list[Plane]
    measured: Mapping[str, Any]


def collect(figure: Figure, cells: Sequence[Cell], source: Source) -> Planes:
    """Places every plane of some cells, each once.

    Raises:
      UserError: no cell; two planes on one panel; a measurement without a plane. The loader refuses such figures but the last
        (:func:`nmepkg.study.placement.refuse_misplaced_planes`).
    """
    if not cells:
        raise UserError(f"figures.{figure.name}: its experiments have no runs")
    rows: list[Any] = []
    columns: list[Any] = []
    placed: dict[tuple[int, int], tuple[Cell, Observation]] = {}
    planes: list[Plane] = []
    for cell in cells:
        content = source.measurements[_key(figure, cell)]
        for point in content["points"]:
            seen = Observation("loss_plane", None, point["status"], point["at"], point["step"])
            if not in_panel(figure, cell, seen):
                continue
            row, column = (
                index(values, axis_value(figure, cell, seen, axis))
                for values, axis in ((rows, figure.rows), (columns, figure.columns))
            )
            if (row, column) in placed:
                if what := clash(figure, placed[row, column], (cell, seen)):
                    remedy = "give what they differ in to rows or columns"
                    raise UserError(f"figures.{figure.name}: {what} fall on one panel; {remedy}")
                continue
            placed[row, column] = cell, seen
            values = point["values"] or {}
            try:
                coordinates, loss, accuracy = (
                    np.array(values[name] if values else [], float)
                    for name in ("coordinates", "loss_plane", "accuracy_plane")
                )
            except KeyError as missing:
                path = source.store.measurement(content["run"], content["measurement"])
                raise MEASUREMENT.refuse(path, f"without {missing}") from None
            described = source.describe(figure, cell, seen) | {name: values.get(name) for name in NUMBERS}
            shown = labels(figure, cell, seen, source)
            planes.append(Plane(row, column, seen.status, coordinates, loss, accuracy, shown, described))
    return Planes(figure, rows, columns, planes, source.measurements[_key(figure, cells[0])]["spec"])


def _key(figure: Figure, cell: Cell) -> tuple[str, str]:
    return cell.run_id, cell.measurements[figure.measurement or ""]
