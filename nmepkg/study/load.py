"""Reading a study: strict YAML, checked as a whole before anything else looks at it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.landscape.spec import check as check_landscape
from nmepkg.registry import METHODS, MODELS
from nmepkg.study import schema
from nmepkg.study.checks import StudyError, check, check_entry, join, shown, suggestion
from nmepkg.study.figures import load_figure
from nmepkg.study.spec import Experiment, Setup, Spec, Study
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
    measurements = {name: _measurement(name, spec) for name, spec in complete["measurements"].items()}
    landscapes = {name: _landscape(name, spec) for name, spec in complete["landscapes"].items()}
    experiments = {
        name: _experiment(name, spec, setups, measurements) for name, spec in complete["experiments"].items()
    }
    _refuse_too_many(experiments, complete["limit_runs"])
    study = Study(
        path=path,
        setups=setups,
        measurements=measurements,
        landscapes=landscapes,
        experiments=experiments,
        figures={},
        **{key: complete[key] for key in ("name", "store", "output", "checkpoints")},
    )
    figures = {name: load_figure(name, spec, study) for name, spec in complete["figures"].items()}
    return replace(study, figures=figures)


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
    spec["training"]["snapshots"].sort()
    return Setup(name, title, spec)


def _measurement(name: str, spec: Spec) -> Spec:
    checked = check_entry("measurement", spec, join("measurements", name), key="kind")
    return {**checked, "at": sorted(checked["at"], key=_step)}


def _step(at: str | int) -> float:
    return {"initial": 0.0, "final": math.inf}[at] if isinstance(at, str) else at


def _landscape(name: str, spec: Spec) -> tuple[tuple[Spec, Spec], ...]:
    where = join("landscapes", name)
    fixed = {key: value for key, value in spec.items() if key != "activations"}
    fixed["model"] = check_entry("model", spec["model"], join(where, "model"))
    fixed["loss"] = check_entry("loss", "mse", where)
    try:
        check_landscape(fixed)
    except UserError as problem:
        raise StudyError(where, str(problem)) from None
    panels = []
    for entry in _entries("activation", spec["activations"], join(where, "activations")):
        activation = check_entry("activation", {k: v for k, v in entry.items() if k != "label"}, where)
        panels.append((entry, {**fixed, "activation": activation}))
    return tuple(panels)


def _experiment(name: str, spec: Spec, setups: Mapping[str, Setup], measurements: Mapping[str, Spec]) -> Experiment:
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
        for method in methods:
            _refuse_unsuited(method, setup, setups[setup].spec, join(where, "methods"))
        for i, measurement in enumerate(spec["measurements"]):
            place = join(where, "measurements", i)
            if measurement not in measurements:
                raise StudyError(place, f"unknown measurement {measurement!r}; {suggestion(measurement, measurements)}")
            _refuse_unmeasurable(measurement, measurements[measurement], setup, setups[setup].spec, place)
    return Experiment(
        name,
        tuple(spec["setups"]),
        methods,
        activations,
        strengths,
        tuple(spec["seeds"]),
        tuple(spec["measurements"]),
    )


def _refuse_unsuited(method: Spec, setup: str, spec: Spec, where: str) -> None:
    """A method that this data, model or loss of a setup makes wrong or impossible."""
    entry, name = METHODS[method["name"]], method["name"]
    batch = spec["training"]["batch_size"]
    if (m := method.get("m")) and batch % m:
        raise StudyError(
            where, f"groups of m = {m} do not divide the batch of {batch} of setup {setup!r}; choose a divisor"
        )
    if entry.loss not in (None, spec["loss"]["name"]):
        raise StudyError(
            where,
            f"{name!r} is right for the loss {entry.loss!r} only, and setup {setup!r} has {spec['loss']['name']!r}",
        )
    if entry.per_example and MODELS[spec["model"]["name"]].mixes_examples(spec["model"]):
        raise StudyError(
            where,
            f"{name!r} takes gradients of single examples, which BatchNorm mixes in setup {setup!r}; use 'gn_trace'",
        )


def _refuse_unmeasurable(name: str, measurement: Spec, setup: str, spec: Spec, where: str) -> None:
    for at in measurement["at"]:
        if isinstance(at, int) and at not in spec["training"]["snapshots"]:
            raise StudyError(where, f"{name!r} measures at step {at}; add it to setups.{setup}.training.snapshots")
    if measurement["split"] == "validation" and spec["validation"]["fraction"] == 0:
        raise StudyError(where, f"{name!r} needs validation examples, but setups.{setup}.validation.fraction is 0")


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
