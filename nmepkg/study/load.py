"""Reading a study: strict YAML, checked as a whole before anything else looks at it."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from nmepkg import extensions
from nmepkg.errors import UserError
from nmepkg.landscape.check import check as check_landscape
from nmepkg.registry import METHODS
from nmepkg.study import schema
from nmepkg.study.checks import StudyError, check, check_entry, join, shown, suggestion
from nmepkg.study.claims import check_claims
from nmepkg.study.figures import load_figure
from nmepkg.study.mathtext import refuse_unset
from nmepkg.study.placement import planned
from nmepkg.study.select import select
from nmepkg.study.setups import load_setup
from nmepkg.study.smoke import smoke
from nmepkg.study.sources import check_sources, content_of
from nmepkg.study.spec import Experiment, Setup, Spec, Study
from nmepkg.study.strict_yaml import read
from nmepkg.study.style import check_style, line_names
from nmepkg.study.suited import refuse_unmeasurable, refuse_unsuited

# Numbers whose squares still fit into single precision, or nearly.
SMALLEST, LARGEST = 1e-20, 1e20
# Of XML: neither control characters, nor halves of characters, nor what is none.
_UNWRITABLE = re.compile("[\\x00-\\x08\\x0b-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """Reads and checks a study.

    Args:
      overrides: keys that a call sets in place of the file's, of :data:`nmepkg.study.overrides.KEYS`.

    Raises:
      UserError: the file is not readable, not YAML, or not a study; one line with file, place, and remedy.
    """
    content = {**read(path), **(overrides or {})}
    try:
        return _study(path, content)
    except StudyError as problem:
        raise UserError(f"{path}: {problem}") from None


def _expanded(content: Mapping[str, Any]) -> dict[str, Any]:
    """A study whose folders are written with ``~`` or variables of the shell, with what these stand for."""

    def expanded(path: Any, place: str) -> Any:
        if not isinstance(path, str):
            return path
        found = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111 (Path makes "." of "")
        if unset := re.search(r"\$(\w+|\{\w+\})", found):
            raise StudyError(place, f"the variable {unset[0]} is not set; set it, or write the folder's path")
        return found

    found = {key: expanded(content[key], key) for key in ("store", "output") if key in content}
    if isinstance(sources := content.get("sources"), Mapping):
        found["sources"] = {name: expanded(path, join("sources", name)) for name, path in sources.items()}
    return {**content, **found}


def _extend(path: Path, content: Mapping[str, Any]) -> None:
    """Loads what a study names as its extensions, upon which its other keys may depend."""
    names = content.get("extensions", [])
    if not isinstance(names, list):
        return  # the schema says what is wrong
    for i, name in enumerate(names):
        if isinstance(name, str):
            try:
                extensions.load([name], path.parent)
            except UserError as problem:
                raise StudyError(join("extensions", i), str(problem)) from None


def _study(path: Path, content: Mapping[str, Any]) -> Study:
    _refuse_unusable(content, "")
    content = _expanded(content)
    version = content.get("version")
    if isinstance(version, int | float) and version > schema.VERSION:
        raise StudyError(
            "version", f"{version} is newer than this nmepkg understands ({schema.VERSION}); update nmepkg"
        )
    if isinstance(version, int | float) and version < 1:
        raise StudyError(
            "version", f"unknown version {version}; this nmepkg understands {schema.VERSION}, so write that"
        )
    _extend(path, content)
    complete = check(content, schema.study())
    _refuse_alike(complete)
    _refuse_too_many(complete)
    study = _checked(path, complete)
    if complete["select"] is not None:
        complete = select(complete, complete["select"])
        study = _checked(path, complete, selected=True)
    if complete["smoke"]:
        shown = {name: complete["figures"][name] for name in study.figures}
        study = _checked(path, smoke({**complete, "figures": shown}), small=True)
    return study


def _checked(path: Path, complete: Spec, selected: bool = False, small: bool = False) -> Study:
    """A study of content whose keys are right.

    Args:
      selected: whether it is what is left of a study that was checked, whose figures may have lost what they show.
      small: whether it is a study in small, which has one seed and so no claims, unless they need no runs.
    """
    check_sources(complete["sources"])
    content = cache(partial(content_of, sources=complete["sources"]))  # a file that many setups use is read once
    setups = {name: load_setup(name, spec, content) for name, spec in complete["setups"].items()}
    measurements = {name: _measurement(name, spec) for name, spec in complete["measurements"].items()}
    landscapes = {name: _landscape(name, spec) for name, spec in complete["landscapes"].items()}
    experiments = {
        name: _experiment(name, spec, setups, measurements) for name, spec in complete["experiments"].items()
    }
    study = Study(
        path=path,
        setups=setups,
        measurements=measurements,
        landscapes=landscapes,
        experiments=experiments,
        figures={},
        select=complete["select"] and tuple(complete["select"]),
        extensions=tuple(complete["extensions"]),
        **{
            key: complete[key]
            for key in ("name", "store", "output", "checkpoints", "sources", "smoke", "style", "pins")
        },
    )
    cells = {name: planned(experiment, setups) for name, experiment in experiments.items()}
    figures = {}
    for name, spec in complete["figures"].items():
        try:
            figures[name] = load_figure(name, spec, study, cells)
        except StudyError:
            # In small, the one panel that is drawn may be gone from its grid.
            if not (selected or (small and spec.get("panel"))):
                raise
    if not selected:  # which may have lost what has a colour
        names = line_names(experiments.values(), setups)
        check_style(study.style, "style", names)
        for name, spec in complete["figures"].items():
            check_style(spec.get("style", {}), join("figures", name, "style"), names)
    drawing = {f"draw_{name}".lower(): name for name in figures}
    for name in figures:
        if name.lower() in drawing:
            raise StudyError(
                join("figures", name), f"is the rule that draws {drawing[name.lower()]!r}; rename the figure"
            )
    for name in study.pins:
        if name not in complete["figures"] and not selected and not small:
            raise StudyError(join("pins", name), f"unknown figure; {suggestion(name, figures)}")
    study = replace(study, figures=figures)
    return replace(study, claims=check_claims(study, complete["claims"], cells, lenient=selected or small))


def _refuse_alike(study: Spec) -> None:
    """Names that differ only in case: some file systems take their files for the same."""
    for section in ("setups", "experiments", "measurements", "landscapes", "figures", "claims"):
        seen: dict[str, str] = {}
        for name in study[section]:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise StudyError(
                    join(section, name), f"differs from {other!r} only in case, as files may not; rename one of them"
                )


def _measurement(name: str, spec: Spec) -> Spec:
    checked = check_entry("measurement", spec, join("measurements", name), key="kind")
    at = [int(at) if isinstance(at, float) else at for at in checked["at"]]
    return {**checked, "at": sorted(at, key=_order)}


def _order(at: str | int) -> tuple[int, float]:
    """Steps before shares: which comes first depends on the setup."""
    if isinstance(at, int):
        return 1, at
    return (2, float(at[:-1])) if at.endswith("%") else ({"initial": 0, "final": 3}[at], 0)


def _landscape(name: str, spec: Spec) -> tuple[tuple[Spec, Spec], ...]:
    where = join("landscapes", name)
    fixed = {key: value for key, value in spec.items() if key != "activations"}
    fixed["model"] = check_entry("model", spec["model"], join(where, "model"))
    fixed["loss"] = check_entry("loss", "mse", where)
    try:
        check_landscape(fixed)
    except UserError as problem:
        raise StudyError("", f"{where}.{problem}") from None  # which begins with the key
    panels = []
    for entry in _entries("activation", spec["activations"], join(where, "activations")):
        activation = check_entry("activation", {k: v for k, v in entry.items() if k != "label"}, where)
        panels.append((entry, {**fixed, "activation": activation}))
    return tuple(panels)


def _experiment(name: str, spec: Spec, setups: Mapping[str, Setup], measurements: Mapping[str, Spec]) -> Experiment:
    where = join("experiments", name)
    for i, setup in enumerate(spec["setups"]):
        if setup not in setups:
            raise StudyError(join(where, "setups", i), f"unknown setup {shown(setup)}; {suggestion(setup, setups)}")
    methods = _entries("method", spec["methods"], join(where, "methods"))
    activations = _entries("activation", spec["activations"], join(where, "activations"))
    strengths = {key: tuple(spec[key]) for key in schema.STRENGTHS if key in spec}
    needed = {strength: m["name"] for m in methods if (strength := METHODS[m["name"]].strength)}
    for strength, method in needed.items():
        if strength not in strengths:
            raise StudyError(
                where,
                f"the key {strength!r} is missing; the method {method!r} takes its values as strengths, so add it",
            )
    for strength in strengths:
        if strength not in needed:
            raise StudyError(join(where, strength), "no method of this experiment takes it; remove it")
    for setup in spec["setups"]:
        for method in methods:
            refuse_unsuited(method, setup, setups[setup].spec, join(where, "methods"))
        for i, measurement in enumerate(spec["measurements"]):
            place = join(where, "measurements", i)
            if measurement not in measurements:
                remedy = suggestion(measurement, measurements)
                raise StudyError(place, f"unknown measurement {shown(measurement)}; {remedy}")
            refuse_unmeasurable(measurement, measurements[measurement], setup, setups[setup].spec, place)
    return Experiment(
        name,
        tuple(spec["setups"]),
        methods,
        activations,
        strengths,
        tuple(spec["seeds"]),
        tuple(spec["measurements"]),
    )


def _entries(kind: str, values: list[Any], where: str) -> tuple[Spec, ...]:
    """Entries as written, an entry with lists among its options made one entry for each combination."""
    entries: list[Spec] = []
    seen: set[str] = set()
    for i, value in enumerate(values):
        place = join(where, i)
        entry = {"name": value} if isinstance(value, str) else dict(value)
        label = entry.pop("label", None)
        if label is not None and not isinstance(label, str):
            raise StudyError(join(place, "label"), f"{shown(label)} is not text; put it in quotes")
        if label is not None and len(label) > schema.LABEL:
            raise StudyError(
                join(place, "label"), f"{shown(label)} is longer than {schema.LABEL} characters; shorten it"
            )
        if label is not None:
            refuse_unset(label, join(place, "label"))
        grid = _grid(entry)
        for key, options in grid.items():
            if not options:
                raise StudyError(join(place, key), "is empty; give at least one value")
        for combination in itertools.product(*grid.values()):
            point = value if isinstance(value, str) else dict(zip(grid, combination, strict=True))
            checked = check_entry(kind, point, place)
            text = json.dumps(checked, sort_keys=True)  # whatever its label, and with its defaults written or not
            if text in seen:
                raise StudyError(place, f"{checked['name']!r} with these options is listed twice; remove one")
            seen.add(text)
            written = {key: checked[key] for key in ("name", *grid) if key in checked}
            entries.append(written | ({"label": label} if label is not None else {}))
    return tuple(entries)


def _grid(entry: Spec) -> dict[str, list[Any]]:
    """The values of each option of an entry: a list holds several, also one among the options of what replaces φ''."""

    def values(option: Any) -> list[Any]:
        if isinstance(option, Mapping):
            inner = _grid(dict(option))
            return [dict(zip(inner, combination, strict=True)) for combination in itertools.product(*inner.values())]
        return option if isinstance(option, list) else [option]

    return {key: values(option) for key, option in entry.items()}


def _count(entries: list[Any], spec: Spec) -> int:
    """Into how many points of a grid entries expand, strengths included; nothing is expanded for it.

    What is wrong with an entry is said later; until then it is one point at least, and hides no others.
    """
    count = 0
    for value in entries:
        grid = _grid({"name": value} if isinstance(value, str) else value)
        grid.pop("label", None)
        names = grid.pop("name", [None])
        kinds = (METHODS[name].strength if isinstance(name, str) and name in METHODS else None for name in names)
        strengths = sum(len(spec.get(kind, [0])) if kind else 1 for kind in kinds)
        count += max(1, strengths * math.prod(map(len, grid.values())))
    return count


def _refuse_too_many(study: Spec) -> None:
    """Counts what a study asks for before anything is expanded, which may take all time and memory there is."""
    limit = study["limit_runs"]
    runs = sum(
        len(spec["setups"]) * _count(spec["methods"], spec) * _count(spec["activations"], {}) * len(spec["seeds"])
        for spec in study["experiments"].values()
    )
    panels = sum(_count(spec["activations"], {}) for spec in study["landscapes"].values())
    for count, what in ((runs, "experiments ask for {} runs"), (panels, "landscapes ask for {} panels")):
        if count > limit:
            raise StudyError("limit_runs", f"the {what.format(count)}, more than {limit}; raise it if you mean it")


def _refuse_unusable(value: Any, where: str) -> None:
    """Numbers that nothing can be computed with in single precision, and text that cannot be written."""
    if isinstance(value, float) and not math.isfinite(value):
        raise StudyError(where, f"{value} is not a finite number; write one that is")
    if isinstance(value, float) and value and not SMALLEST <= abs(value) <= LARGEST:
        remedy = "write 0, or a larger one" if abs(value) < SMALLEST else "write a smaller one"
        end = "small" if abs(value) < SMALLEST else "large"
        raise StudyError(where, f"{value:g} is too {end} to compute with in single precision; {remedy}")
    if isinstance(value, str) and _UNWRITABLE.search(value):
        raise StudyError(where, f"{shown(value)} holds a character that cannot be written; remove it")
    parts: Any = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        _refuse_unusable(part, join(where, key))
