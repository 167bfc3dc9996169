"""Reading a study: strict YAML, checked as a whole before anything else looks at it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.registry import METHODS
from nmepkg.study import schema
from nmepkg.study.schema import StudyError, check, check_entry, join, shown, suggestion
from nmepkg.study.spec import Experiment, Figure, Setup, Spec, Study
from nmepkg.study.strict_yaml import read


def load(path: Path) -> Study:
    """Reads and checks a study.

    Raises:
      UserError: the file is not readable, not YAML, or not a study; one line with file, place, and remedy.
    """
    content = read(path)
    try:
        return _study(path, content)
    except StudyError as problem:
        raise UserError(f"{path}: {problem}") from None
    except OverflowError:
        raise UserError(f"{path}: holds a number too large to compute with") from None


def _study(path: Path, content: Mapping[str, Any]) -> Study:
    _refuse_non_finite(content, "")
    version = content.get("version")
    if isinstance(version, int) and version > schema.VERSION:
        raise StudyError("version", f"{version} is newer than this nmepkg understands ({schema.VERSION}); update it")
    if isinstance(version, int) and version < 1:
        raise StudyError("version", f"unknown version {version}; this nmepkg understands {schema.VERSION}")
    complete = check(content, schema.STUDY)

    setups = {name: _setup(name, spec) for name, spec in complete["setups"].items()}
    experiments = {name: _experiment(name, spec, setups) for name, spec in complete["experiments"].items()}
    _refuse_too_many(experiments, complete["limit_runs"])
    for name in complete["figures"]:
        if name in schema.TARGETS:
            raise StudyError(join("figures", name), "is another target of the workflow; rename the figure")
    figures = {name: _figure(name, spec, experiments, setups) for name, spec in complete["figures"].items()}
    return Study(path, complete["name"], complete["store"], setups, experiments, figures)


def _setup(name: str, spec: Spec) -> Setup:
    spec = dict(spec)
    title = spec.pop("title", name)
    for kind in ("data", "model", "loss"):
        spec[kind] = check_entry(kind, spec[kind], join("setups", name, kind))
    warmup, epochs = spec["optimizer"]["warmup_epochs"], spec["training"]["epochs"]
    if warmup > epochs:
        raise StudyError(
            join("setups", name, "optimizer.warmup_epochs"),
            f"{warmup:g} is more than the {epochs} of training.epochs; the peak would never be reached",
        )
    return Setup(name, title, spec)


def _experiment(name: str, spec: Spec, setups: Mapping[str, Setup]) -> Experiment:
    where = join("experiments", name)
    for i, setup in enumerate(spec["setups"]):
        if setup not in setups:
            raise StudyError(join(where, "setups", i), f"unknown setup {setup!r}; {suggestion(setup, setups)}")
    methods = _entries("method", spec["methods"], join(where, "methods"))
    activations = _entries("activation", spec["activations"], join(where, "activations"))
    strengths = {key: tuple(spec[key]) for key in schema.STRENGTHS if key in spec}
    needed = {strength: m["name"] for m in methods if (strength := METHODS[m["name"]].strength)}
    for strength, method in needed.items():
        if strength not in strengths:
            raise StudyError(
                where, f"the key {strength!r} is missing; the method {method!r} takes its values as strengths"
            )
    for strength in strengths:
        if strength not in needed:
            raise StudyError(join(where, strength), "no method of this experiment takes it; remove it")
    for setup in spec["setups"]:
        batch = setups[setup].spec["training"]["batch_size"]
        for method in methods:
            if (m := method.get("m")) and batch % m:
                raise StudyError(
                    join(where, "methods"),
                    f"groups of m = {m} do not divide the batch of {batch} of setup {setup!r}; choose a divisor",
                )
    return Experiment(name, tuple(spec["setups"]), methods, activations, strengths, tuple(spec["seeds"]))


def _entries(kind: str, values: list[Any], where: str) -> tuple[Spec, ...]:
    """Entries as written, an entry with lists among its options made one entry for each combination."""
    entries: list[Spec] = []
    seen: list[Spec] = []
    for i, value in enumerate(values):
        place = join(where, i)
        entry = {"name": value} if isinstance(value, str) else dict(value)
        label = entry.pop("label", None)
        if label is not None and not isinstance(label, str):
            raise StudyError(join(place, "label"), f"{shown(label)} is not text")
        grid = {key: option if isinstance(option, list) else [option] for key, option in entry.items()}
        for key, options in grid.items():
            if not options:
                raise StudyError(join(place, key), "is empty; give at least one value")
        for combination in itertools.product(*grid.values()):
            point = value if isinstance(value, str) else dict(zip(grid, combination, strict=True))
            checked = check_entry(kind, point, place)
            if checked in seen:  # whatever its label, and with its defaults written or not
                raise StudyError(place, f"{checked['name']!r} with these options is listed twice")
            seen.append(checked)
            written = {key: checked[key] for key in ("name", *grid) if key in checked}
            entries.append(written | ({"label": label} if label is not None else {}))
    return tuple(entries)


def _figure(name: str, spec: Spec, experiments: Mapping[str, Experiment], setups: Mapping[str, Setup]) -> Figure:
    where = join("figures", name)
    for i, experiment in enumerate(spec["experiments"]):
        if experiment not in experiments:
            raise StudyError(
                join(where, "experiments", i),
                f"unknown experiment {experiment!r}; {suggestion(experiment, experiments)}",
            )
    values = _axes([experiments[experiment] for experiment in spec["experiments"]])
    roles = {role: spec[role] for role in ("x", "rows", "columns", "lines") if spec[role] is not None}
    for role, axis in roles.items():
        if axis not in values:
            raise StudyError(join(where, role), f"no axis {axis!r} in its experiments; {suggestion(axis, values)}")
        if list(roles.values()).count(axis) > 1:
            raise StudyError(join(where, role), f"the axis {axis!r} is shown twice; name it once")
    _refuse_not_drawable(join(where, "x"), spec["x"], values[spec["x"]])
    for role in ("report", "y"):
        if "validation" in spec[role]:
            for setup in values["setup"]:
                if setups[setup].spec["validation"]["fraction"] == 0:
                    raise StudyError(
                        join(where, role),
                        f"{spec[role]!r} needs validation examples, but setups.{setup}.validation.fraction is 0",
                    )
    options = {axis for axis in roles.values() if axis not in ("setup", "method", "activation", "experiment")}
    for axis in ("setup", "method", "activation", *schema.STRENGTHS):
        distinct = values.get(axis, [])
        if axis in ("method", "activation"):
            distinct = _distinct([{k: v for k, v in entry.items() if k not in options} for entry in distinct])
        if len(distinct) > 1 and axis not in roles.values():
            raise StudyError(
                where, f"its experiments have {len(distinct)} values of {axis!r}; give it to rows, columns or lines"
            )
    return Figure(name=name, **{**spec, "experiments": tuple(spec["experiments"])})


def _refuse_not_drawable(where: str, axis: str, values: list[Any]) -> None:
    """x is logarithmic; a strength of 0 has a place beside it. Said here, not after hours of training."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StudyError(
                where, f"the values of {axis!r} are not all numbers; choose a strength or a numeric option"
            )
        if value <= 0 and axis not in schema.STRENGTHS:
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


def _refuse_too_many(experiments: Mapping[str, Experiment], limit: int) -> None:
    count = 0
    for e in experiments.values():
        points = sum(len(e.strengths[s]) if (s := METHODS[m["name"]].strength) else 1 for m in e.methods)
        count += len(e.setups) * points * len(e.activations) * len(e.seeds)
    if count > limit:
        raise StudyError(
            "limit_runs", f"the experiments ask for {count} runs, more than {limit}; raise it if you mean it"
        )


def _refuse_non_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StudyError(where, f"{value} is not a finite number")
    parts: Any = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        _refuse_non_finite(part, join(where, key))
