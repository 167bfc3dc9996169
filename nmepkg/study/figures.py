"""Checks of a figure: what it shows exists, can be drawn, and mixes no unlike runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nmepkg.registry import FIGURES, MEASUREMENTS
from nmepkg.study import schema
from nmepkg.study.axes import axes_of, options, reserved, without
from nmepkg.study.checks import StudyError, check, join, shown, suggestion
from nmepkg.study.mathtext import refuse_unset
from nmepkg.study.placement import (
    BESIDE,
    MOST_LANDSCAPES,
    refuse_misplaced,
    refuse_misplaced_planes,
    refuse_narrow,
)
from nmepkg.study.setups import counts
from nmepkg.study.spec import Cell, Experiment, Figure, Spec, Study
from nmepkg.study.style import complete_style, line_names, width_in_inches


def load_figure(name: str, spec: Spec, study: Study, cells: Mapping[str, list[Cell]]) -> Figure:
    """Checks one figure against the study that it is part of, and completes it.

    Args:
      cells: those that are planned, by experiment.

    Raises:
      StudyError: a key is wrong, it names what the study does not have, it would mix unlike runs, or it could not be drawn.
    """
    where = join("figures", name)
    if name.lower() in schema.TAKEN:
        raise StudyError(where, "is another target or file of the workflow; rename the figure")
    kind = spec.get("kind", "curve")
    if not isinstance(kind, str) or kind not in FIGURES:
        raise StudyError(join(where, "kind"), f"unknown value {shown(kind)}; {suggestion(kind, FIGURES)}")
    complete = check(spec, schema.figure(kind), where)
    refuse_unset(complete["title"], join(where, "title"))
    _set_looks(complete, study, where)
    if kind == "landscape":
        if complete["landscape"] not in study.landscapes:
            remedy = suggestion(complete["landscape"], study.landscapes)
            raise StudyError(join(where, "landscape"), f"unknown landscape {shown(complete['landscape'])}; {remedy}")
        figure = Figure(name=name, **complete)
        if (panels := len(study.landscapes[complete["landscape"]])) > MOST_LANDSCAPES:
            raise StudyError(
                join(where, "landscape"),
                f"a figure has room for {MOST_LANDSCAPES} activations, and landscapes.{complete['landscape']} has {panels}; "
                "divide them between two",
            )
        refuse_narrow(figure, panels, where, margin=BESIDE)
        return figure
    shown_experiments = _experiments(complete, study, where)
    if kind == "plane":
        figure = _plane(name, complete, shown_experiments, study, where)
        refuse_misplaced_planes(figure, study, cells)
    else:
        own = {option: complete.pop(option) for option in FIGURES[kind].options if option in complete}
        figure = _curve(name, {**complete, "options": own}, shown_experiments, study, where)
        refuse_misplaced(figure, study, cells)
    return figure


def _set_looks(spec: Spec, study: Study, where: str) -> None:
    """Puts the figure's width and style, with what it has of the study's, in place of its own."""
    shown_experiments = _experiments(spec, study, where) if "experiments" in spec else []
    spec["width"] = width_in_inches(spec["width"], study.style["width"])
    spec["style"] = complete_style(study.style, spec["style"], line_names(shown_experiments, study.setups))


def _refuse_panel(figure: Figure, where: str) -> None:
    """A panel of an axis that tells none apart. That it is one of those there are, its placement finds out."""
    axes = [axis for axis in (figure.rows, figure.columns) if axis is not None]
    for axis in figure.panel:
        if axis not in axes:
            raise StudyError(join(where, "panel", axis), f"is no axis of its rows or columns; {suggestion(axis, axes)}")


def _experiments(spec: Spec, study: Study, where: str) -> list[Experiment]:
    """The experiments that a figure names."""
    for i, name in enumerate(spec["experiments"]):
        if name not in study.experiments:
            raise StudyError(
                join(where, "experiments", i),
                f"unknown experiment {shown(name)}; {suggestion(name, study.experiments)}",
            )
    return [study.experiments[name] for name in spec["experiments"]]


def _plane(name: str, spec: Spec, experiments: list[Experiment], study: Study, where: str) -> Figure:
    measured = _measured(spec["measurement"], "plane", experiments, study, where)
    values = {**_axes(experiments), "at": measured["at"]}
    values.pop("step", None)  # the option of a method, which `at` has the name of here
    roles = _roles(spec, ("rows", "columns"), values, where)
    figure = Figure(name=name, **{**spec, "experiments": tuple(spec["experiments"])})
    _refuse_panel(figure, where)
    _refuse_not_told_apart(figure, roles, values, "rows or columns", where)
    return figure


def _curve(name: str, spec: Spec, experiments: list[Experiment], study: Study, where: str) -> Figure:
    values = _axes(experiments)  # of which those of a measurement take the place of an option called the same
    y = (spec["y"],) if isinstance(spec["y"], str) else tuple(spec["y"])
    if spec["measurement"] is None:
        quantities: Collection[str] = schema.METRICS
    else:
        measured = _measured(spec["measurement"], "curve", experiments, study, where)
        quantities = MEASUREMENTS[measured["kind"]].quantities
        values |= {"at": measured["at"], "step": measured["at"]}
        values |= {"radius": measured["radii"]} if "radii" in measured else {}
    for quantity in y:
        if quantity not in quantities:
            raise StudyError(join(where, "y"), f"unknown value {shown(quantity)}; {suggestion(quantity, quantities)}")
    values["quantity"] = list(y)
    roles = _roles(spec, ("x", "rows", "columns", "lines"), values, where)
    if spec["measurement"] is not None and spec["x"] == "step":
        if "initial" in values.pop("at") and spec["x_scale"] == "log":  # one axis under two names
            raise StudyError(
                join(where, "x"), "step = 0, 'initial', has no place on a logarithmic axis; give it x_scale: linear"
            )
    elif spec["measurement"] is not None and "step" in roles.values():
        raise StudyError(where, "'step' is an axis for x; 'at' tells panels or lines apart by it")
    else:
        _refuse_not_drawable(join(where, "x"), spec["x"], values[spec["x"]], spec["x_scale"])
    for role, text in (("report", spec["report"]), *(("y", quantity) for quantity in y)):
        if "validation" in text:
            for setup in values["setup"]:
                if counts(study.setups[setup].spec).validation == 0:
                    raise StudyError(
                        join(where, role),
                        f"{text!r} needs validation examples, and setups.{setup}.validation.fraction leaves none; raise it",
                    )
    _refuse_differences(spec, join(where, "differences"))
    figure = Figure(name=name, **{**spec, "experiments": tuple(spec["experiments"]), "y": y})
    _refuse_panel(figure, where)
    _refuse_not_told_apart(figure, roles, values, "rows, columns or lines", where)
    return figure


def _roles(spec: Spec, names: tuple[str, ...], values: Mapping[str, Any], where: str) -> dict[str, str]:
    """Role -> the axis that a figure gives to it, of those that there are, each once."""
    roles = {role: spec[role] for role in names if spec[role] is not None}
    for role, axis in roles.items():
        if axis not in values:
            raise StudyError(join(where, role), f"no axis {shown(axis)} in its experiments; {suggestion(axis, values)}")
        if list(roles.values()).count(axis) > 1:
            raise StudyError(join(where, role), f"the axis {axis!r} is shown twice; name it once")
    return roles


def _refuse_not_told_apart(
    figure: Figure, roles: Mapping[str, str], values: Mapping[str, list[Any]], takers: str, where: str
) -> None:
    """Several values of an axis that the figure does not show: only seeds are averaged."""
    own = set(roles.values()) - set(reserved(figure))
    for axis in ("setup", "method", "activation", "quantity", "at", "radius", *schema.STRENGTHS):
        distinct = values.get(axis, [])
        if axis in ("method", "activation"):
            complete = [{"name": e["name"], "label": e.get("label"), **options(axis, e)} for e in distinct]
            distinct = _distinct([without(entry, own) for entry in complete])
        if len(distinct) > 1 and axis not in roles.values():
            what = "it has" if axis in ("quantity", "at", "radius") else "its experiments have"
            raise StudyError(where, f"{what} {len(distinct)} values of {axis!r}; give it to {takers}")


def _refuse_differences(spec: Spec, where: str) -> None:
    """Differences along training, of a single line, or to a strength that no axis shows."""
    if spec["differences"] is None:
        return
    if spec["measurement"] is not None and spec["x"] == "step":
        raise StudyError(where, "a figure along training has none; leave it out")
    if spec["differences"] == "first_line" and spec["lines"] in (None, "quantity"):
        raise StudyError(where, "'first_line' needs lines to compare; name them, but not 'quantity'")
    if spec["differences"] == "strength_0" and spec["x"] not in schema.STRENGTHS:
        raise StudyError(where, f"'strength_0' needs a strength on x, not {spec['x']!r}; choose 'first_line'")


def _measured(name: str, kind: str, experiments: list[Experiment], study: Study, where: str) -> Spec:
    """The spec of a measurement that every experiment of a figure has, and that figures of its kind draw."""
    if name not in study.measurements:
        remedy = suggestion(name, study.measurements)
        raise StudyError(join(where, "measurement"), f"unknown measurement {shown(name)}; {remedy}")
    for experiment in experiments:
        if name not in experiment.measurements:
            raise StudyError(join(where, "measurement"), f"add {name!r} to experiments.{experiment.name}.measurements")
    measured = study.measurements[name]
    if (drawn := MEASUREMENTS[measured["kind"]].figure) != kind:
        fitting = " or ".join(repr(one) for one, entry in MEASUREMENTS.items() if entry.figure == kind)
        remedy = (
            f"write kind: {drawn}" if kind == "curve" else f"name one of the kind {fitting}, or write kind: {drawn}"
        )
        raise StudyError(
            join(where, "measurement"),
            f"{name!r} is of the kind {measured['kind']!r}, which a figure of the kind {kind!r} does not draw; {remedy}",
        )
    return measured


def _refuse_not_drawable(where: str, axis: str, values: list[Any], scale: str) -> None:
    """On a logarithmic x, a strength of 0 has a place beside it. Said here, not after hours of training."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StudyError(
                where, f"the values of {axis!r} are not all numbers; choose a strength or a numeric option"
            )
        if value <= 0 and axis not in schema.STRENGTHS and scale == "log":
            raise StudyError(where, f"{axis} = {shown(value)} has no place on a logarithmic axis; give values above 0")


def _axes(experiments: list[Experiment]) -> dict[str, list[Any]]:
    """The axes that a figure of these experiments may show, with their values. Options left out have their defaults."""
    values: dict[str, list[Any]] = {
        "setup": _distinct([s for e in experiments for s in e.setups]),
        "method": _distinct([m for e in experiments for m in e.methods]),
        "activation": _distinct([a for e in experiments for a in e.activations]),
        "experiment": [e.name for e in experiments],
    }
    for e in experiments:
        for strength, numbers in e.strengths.items():
            values[strength] = _distinct([*values.get(strength, []), *numbers])
    for kind in ("method", "activation"):
        entries = [axes_of(kind, entry) for entry in values[kind]]
        for option in entries[0]:
            if all(option in entry for entry in entries):
                values[option] = _distinct([entry[option] for entry in entries])
    return values


def _distinct(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
