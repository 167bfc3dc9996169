"""Checks of a figure: what it shows exists, can be drawn, and mixes no unlike runs."""

from __future__ import annotations

from typing import Any

from nmepkg.registry import MEASUREMENTS
from nmepkg.study import schema
from nmepkg.study.checks import StudyError, check, join, shown, suggestion
from nmepkg.study.spec import Experiment, Figure, Spec, Study


def load_figure(name: str, spec: Spec, study: Study) -> Figure:
    """Checks one figure against the study that it is part of, and completes it.

    Raises:
      StudyError: a key is wrong, it names what the study does not have, or it would mix unlike runs.
    """
    where = join("figures", name)
    if name in schema.TARGETS:
        raise StudyError(where, "is another target of the workflow; rename the figure")
    kind = spec.get("kind", "curve")
    if not isinstance(kind, str) or kind not in schema.FIGURE:
        raise StudyError(join(where, "kind"), f"unknown value {shown(kind)}; {suggestion(kind, schema.FIGURE)}")
    complete = check(spec, schema.FIGURE[kind], where)
    if kind == "landscape":
        if complete["landscape"] not in study.landscapes:
            remedy = suggestion(complete["landscape"], study.landscapes)
            raise StudyError(join(where, "landscape"), f"unknown landscape {complete['landscape']!r}; {remedy}")
        return Figure(name=name, **complete)
    return _curve(name, complete, study, where)


def _curve(name: str, spec: Spec, study: Study, where: str) -> Figure:
    experiments, setups = study.experiments, study.setups
    for i, experiment in enumerate(spec["experiments"]):
        if experiment not in experiments:
            raise StudyError(
                join(where, "experiments", i),
                f"unknown experiment {experiment!r}; {suggestion(experiment, experiments)}",
            )
    shown_experiments = [experiments[experiment] for experiment in spec["experiments"]]
    values = _axes(shown_experiments)
    y = (spec["y"],) if isinstance(spec["y"], str) else tuple(spec["y"])
    if spec["measurement"] is None:
        quantities: tuple[str, ...] = schema.METRICS
    else:
        measured = _measured(spec["measurement"], shown_experiments, study, where)
        quantities = MEASUREMENTS[measured["kind"]].quantities
        values |= {"at": measured["at"], "step": measured["at"]}
    for quantity in y:
        if quantity not in quantities:
            raise StudyError(join(where, "y"), f"unknown value {quantity!r}; {suggestion(quantity, quantities)}")
    values["quantity"] = list(y)
    roles = {role: spec[role] for role in ("x", "rows", "columns", "lines") if spec[role] is not None}
    for role, axis in roles.items():
        if axis not in values:
            raise StudyError(join(where, role), f"no axis {axis!r} in its experiments; {suggestion(axis, values)}")
        if list(roles.values()).count(axis) > 1:
            raise StudyError(join(where, role), f"the axis {axis!r} is shown twice; name it once")
    if spec["x"] == "step":
        values.pop("at")  # one axis under two names
    elif "step" in roles.values():
        raise StudyError(where, "'step' is an axis for x; 'at' tells panels or lines apart by it")
    else:
        _refuse_not_drawable(join(where, "x"), spec["x"], values[spec["x"]], spec["x_scale"])
    for role, text in (("report", spec["report"]), *(("y", quantity) for quantity in y)):
        if "validation" in text:
            for setup in values["setup"]:
                if setups[setup].spec["validation"]["fraction"] == 0:
                    raise StudyError(
                        join(where, role),
                        f"{text!r} needs validation examples, but setups.{setup}.validation.fraction is 0; raise it",
                    )
    options = {axis for axis in roles.values() if axis not in ("setup", "method", "activation", "experiment")}
    for axis in ("setup", "method", "activation", "quantity", "at", *schema.STRENGTHS):
        distinct = values.get(axis, [])
        if axis in ("method", "activation"):
            distinct = _distinct([{k: v for k, v in entry.items() if k not in options} for entry in distinct])
        if len(distinct) > 1 and axis not in roles.values():
            what = "it has" if axis in ("quantity", "at") else "its experiments have"
            raise StudyError(where, f"{what} {len(distinct)} values of {axis!r}; give it to rows, columns or lines")
    return Figure(name=name, **{**spec, "experiments": tuple(spec["experiments"]), "y": y})


def _measured(name: str, experiments: list[Experiment], study: Study, where: str) -> Spec:
    """The spec of a measurement that every experiment of a figure has."""
    if name not in study.measurements:
        remedy = suggestion(name, study.measurements)
        raise StudyError(join(where, "measurement"), f"unknown measurement {name!r}; {remedy}")
    for experiment in experiments:
        if name not in experiment.measurements:
            raise StudyError(join(where, "measurement"), f"add {name!r} to experiments.{experiment.name}.measurements")
    return study.measurements[name]


def _refuse_not_drawable(where: str, axis: str, values: list[Any], scale: str) -> None:
    """On a logarithmic x, a strength of 0 has a place beside it. Said here, not after hours of training."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StudyError(
                where, f"the values of {axis!r} are not all numbers; choose a strength or a numeric option"
            )
        if value <= 0 and axis not in schema.STRENGTHS and scale == "log":
            raise StudyError(where, f"{axis} = {shown(value)} has no place on a logarithmic axis; give values above 0")
    if not any(value > 0 for value in values):
        raise StudyError(where, f"{axis!r} has no value above 0 to draw; give at least one")


def _axes(experiments: list[Experiment]) -> dict[str, list[Any]]:
    """The axes that a figure of these experiments may show, with their values."""
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
        for option in values[kind][0]:
            if option not in ("name", "label") and all(option in entry for entry in values[kind]):
                values[option] = _distinct([entry[option] for entry in values[kind]])
    return values


def _distinct(values: list[Any]) -> list[Any]:
    return [value for i, value in enumerate(values) if value not in values[:i]]
