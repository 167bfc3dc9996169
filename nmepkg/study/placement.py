"""Where the points of a figure that is planned will lie: what cannot be drawn is refused before anything is trained."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from nmepkg.errors import UserError
from nmepkg.records import to_json
from nmepkg.registry import STRENGTHS
from nmepkg.study.arms import run_text
from nmepkg.study.axes import Observation, axis_value, clash, in_panel, options, same_value, x_value
from nmepkg.study.checks import StudyError, join, shown
from nmepkg.study.grid import grid
from nmepkg.study.setups import counts, points
from nmepkg.study.spec import Cell, Experiment, Figure, Setup, Study

# What a figure has room for.
MOST = {"rows": 40, "columns": 12, "lines": 24}
MOST_LANDSCAPES = 4
MOST_PLANES = {"rows": 8, "columns": 5}
BESIDE = 1.35  # inches beside maps: labels and colour bars
_NARROWEST = 6.75 / MOST["columns"]  # inches of a figure for each column of its panels
_NARROWEST_PLANE = 1.0


def planned(experiment: Experiment, setups: Mapping[str, Setup]) -> list[Cell]:
    """The cells of an experiment, of its first seed alone. Runs and measurements have no ids yet; equal ones equal texts."""
    cells = []
    for setup, method, activation, strength, seed in grid(experiment):
        if seed == experiment.seeds[0]:
            run = run_text(setups[setup].spec, method, activation, strength)
            measured = dict.fromkeys(experiment.measurements, to_json(options("activation", activation)))
            cells.append(Cell(experiment.name, setup, method, activation, strength, seed, {}, run, measured))
    return cells


def refuse_misplaced(figure: Figure, study: Study, cells: Mapping[str, list[Cell]]) -> None:
    """Places every cell of a figure of curves as it will be drawn.

    Args:
      cells: those that are :func:`planned`, by experiment.

    Raises:
      StudyError: two runs or numbers fall on one point, one has no place, or there are more panels or lines than room.
    """
    where = join("figures", figure.name)
    known: dict[str, list[Any]] = {role: [] for role in MOST}
    shown = {"rows": figure.rows, "columns": figure.columns, "lines": figure.lines or "method"}
    placed: dict[tuple[Any, ...], tuple[Cell, Observation]] = {}
    panels: dict[str, list[Any]] = {}
    for cell in itertools.chain.from_iterable(cells[name] for name in figure.experiments):
        for seen in _observations(figure, study, cell):
            _note_panels(panels, figure, cell, seen)
            if not in_panel(figure, cell, seen):
                continue
            try:
                x = x_value(figure, cell, seen)
                values = {role: axis_value(figure, cell, seen, axis) for role, axis in shown.items()}
            except UserError as problem:
                raise StudyError("", str(problem)) from None  # which begins with the place
            place = _place(known, values, MOST, where)
            for seed in study.experiments[cell.experiment].seeds:
                there = placed.setdefault((*place, x, seed), (cell, seen))
                if clash(figure, there, (cell, seen)):
                    raise StudyError(
                        where,
                        f"two numbers fall on one point, {figure.x} = {x:g} and seed {seed}; give what they differ in to "
                        "rows, columns or lines",
                    )
    _refuse_no_panel(figure, panels, bool(placed), where)
    refuse_narrow(figure, len(known["columns"]), where)
    if figure.x_scale == "log" and not any(x > 0 for *_, x, _ in placed):
        what = "strength" if figure.x in STRENGTHS else "value"
        raise StudyError(join(where, "x"), f"{figure.x!r} has no {what} above 0 to draw; give at least one")


def refuse_misplaced_planes(figure: Figure, study: Study, cells: Mapping[str, list[Cell]]) -> None:
    """Places every cell of a figure of planes as it will be drawn, as :func:`refuse_misplaced` does.

    Raises:
      StudyError: two planes fall on one panel, or there are more panels than room.
    """
    where = join("figures", figure.name)
    known: dict[str, list[Any]] = {role: [] for role in MOST_PLANES}
    placed: dict[tuple[int, ...], tuple[Cell, Observation]] = {}
    panels: dict[str, list[Any]] = {}
    for cell in itertools.chain.from_iterable(cells[name] for name in figure.experiments):
        steps = counts(study.setups[cell.setup].spec).steps
        for at in points(study.measurements[figure.measurement or ""]["at"], steps):
            seen = Observation("loss_plane", None, "measured", at)
            _note_panels(panels, figure, cell, seen)
            if not in_panel(figure, cell, seen):
                continue
            try:
                values = {role: axis_value(figure, cell, seen, getattr(figure, role)) for role in MOST_PLANES}
            except UserError as problem:
                raise StudyError("", str(problem)) from None  # which begins with the place
            there = placed.setdefault(tuple(_place(known, values, MOST_PLANES, where)), (cell, seen))
            if there[0].seed != cell.seed or clash(figure, there, (cell, seen)):
                raise StudyError(where, "two planes fall on one panel; give what they differ in to rows or columns")
    _refuse_no_panel(figure, panels, bool(placed), where)
    refuse_narrow(figure, len(known["columns"]), where, BESIDE, _NARROWEST_PLANE)


def _note_panels(panels: dict[str, list[Any]], figure: Figure, cell: Cell, seen: Observation) -> None:
    """Adds the values of the axes of which one panel is asked for."""
    for axis in figure.panel:
        value = axis_value(figure, cell, seen, axis)
        if value not in panels.setdefault(axis, []):
            panels[axis].append(value)


def _refuse_no_panel(figure: Figure, panels: Mapping[str, list[Any]], placed: bool, where: str) -> None:
    for axis, wanted in figure.panel.items():
        if not any(same_value(value, wanted) for value in panels[axis]):
            there = ", ".join(_written(value) for value in panels[axis])
            raise StudyError(join(where, "panel", axis), f"no panel is {shown(wanted)}; choose from {there}")
    if not placed:
        raise StudyError(join(where, "panel"), "no panel is of all of these; leave one out")


def _written(value: Any) -> str:
    """A value of an axis as a study names its panel."""
    if not isinstance(value, Mapping):
        return shown(value)
    return str(value.get("label") or (value["name"] if len(value) == 1 else shown(dict(value))))


def _place(known: dict[str, list[Any]], values: Mapping[str, Any], most: Mapping[str, int], where: str) -> list[int]:
    """Where values of axes are among those that are known, to which they are added."""
    place = []
    for role, value in values.items():
        if value not in known[role]:
            known[role].append(value)
            if len(known[role]) > most[role]:
                raise StudyError(
                    where, f"more than {most[role]} {role} have no room; divide it between several figures"
                )
        place.append(known[role].index(value))
    return place


def refuse_narrow(figure: Figure, columns: int, where: str, margin: float = 0.0, narrowest: float = _NARROWEST) -> None:
    """Refuses a width that has no room for so many columns of panels.

    Args:
      margin: inches beside all panels.
      narrowest: inches of a column.
    """
    least = math.ceil(10 * (columns * narrowest + margin)) / 10
    if figure.width is not None and figure.width < least:
        remedy = f"give it at least {least:g}"
        raise StudyError(
            join(where, "width"), f"{figure.width:g} inches have no room for {columns} panels side by side; {remedy}"
        )


def _observations(figure: Figure, study: Study, cell: Cell) -> list[Observation]:
    if figure.measurement is None:
        return [Observation(y, None, "completed") for y in figure.y]
    last = counts(study.setups[cell.setup].spec).steps
    ends, measured = {"initial": 0, "final": last}, study.measurements[figure.measurement]
    return [
        Observation(y, None, "measured", at, ends[at] if isinstance(at, str) else at, radius)
        for at, y, radius in itertools.product(points(measured["at"], last), figure.y, measured.get("radii", [None]))
    ]
