"""A study that uses every key, changed by the thousand: it is loaded or refused in one line, and what is loaded can be drawn.

``EXAMPLES=5000`` tries so many changes, where few are tried by default.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmepkg.errors import LONGEST, UserError
from nmepkg.registry import MEASUREMENTS
from nmepkg.runs.expand import expand
from nmepkg.runs.figure_identity import figure_digest
from nmepkg.study import schema
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.study.strict_yaml import read
from tests.analysis.madeup import drawn, is_finite
from tests.study.test_readme import PARTS, REGISTRIES, keys

FILE = Path(__file__).with_name("complete.yaml")
COMPLETE: dict[str, Any] = dict(read(FILE))
EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 3, -1, 7, 10**6, 2**31, 2**32, 2**63, 10**30, 0.0, -0.0, 0.5, 1.5, 1e-3, 1e-19, 1e19, 1e308,
    1e-320, float("nan"), float("inf"), -float("inf"), "", " ", "a", "rho", "step", "method", "sam", "mlp", "final", "x" * 5000,
    "é", "β" * 200, "a\nb",
    "\0", "\x1b[31m", "\ud800", "\ufffe", "\u2028", "{x}", "{{", "$", "$\\rho_{$", "$\\nothing$", "%s", "../x", "[a]",
    [], [0], [1, 1], [0, 5], [None], [[]], [0.1] * 40, list(range(200)), {}, {"name": "sam"}, {"name": None}, {"a": {"b": 1}},
]  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a study."""
    if here:
        yield here
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*here, key))


PLACES = list(places(COMPLETE))
AXES = ["rho", "sigma2", "setup", "method", "activation", "experiment", "quantity", "at", "step", "radius", "beta", "m", "p",
        "samples", "negative_slope", "antithetic", "second_derivative"]  # fmt: skip
TEXTS = [
    "",
    "ρ and β",
    "$\\rho_{max}$",
    "Costs \\$5 and $5",
    "$\\rho_{$",
    "{x}",
    "a\nb",
    "W" * 250,
    "a $b",
    "H and N ",
    "$a$ \\$ $b$",
]


def change(content: dict[str, Any], place: tuple[Any, ...], action: str, value: Any) -> None:
    """Replaces, removes, repeats or joins something, where it is still there."""
    *way, last = place
    try:
        parent: Any = content
        for key in way:
            parent = parent[key]
        there = parent[last]
    except (KeyError, IndexError, TypeError):
        return
    if isinstance(parent, str):
        return
    if action == "replace":
        parent[last] = copy.deepcopy(value)
    elif action == "remove":
        del parent[last]
    elif isinstance(parent, list):
        parent.append(copy.deepcopy(there if action == "repeat" else value))
    elif action == "repeat":
        parent[str(last).swapcase()] = copy.deepcopy(there)
    else:
        parent[str(value)] = copy.deepcopy(there)


CHANGE = st.tuples(
    st.sampled_from(PLACES), st.sampled_from(["replace"] * 5 + ["remove", "repeat", "join"]), st.sampled_from(VALUES)
)


@st.composite
def figures(draw: st.DrawFn) -> dict[str, Any]:
    """A figure whose quantities are those of what it draws; its axes may be anything."""
    several = [["strengths", "slopes"], ["noise", "exact"], ["steps", "slopes"], ["steps", "noise"]]
    names = draw(st.sampled_from([[name] for name in COMPLETE["experiments"]] * 2 + several))
    experiments = [COMPLETE["experiments"][name] for name in names]
    common = set.intersection(*(set(experiment.get("measurements", [])) for experiment in experiments))
    measurement = draw(st.sampled_from([None, *sorted(common)]))
    quantities: tuple[str, ...] = schema.METRICS
    if measurement is not None:
        quantities = MEASUREMENTS[COMPLETE["measurements"][measurement]["kind"]].quantities
    numeric = ["rho", "sigma2", "step", "negative_slope", "p", "beta", "samples", "at", "m"]
    likely = [x for x in ("rho", "sigma2") if all(x in experiment for experiment in experiments)]
    return {
        "experiments": names,
        "measurement": measurement,
        "x": draw(st.sampled_from(likely * 10 + numeric + ["step"] * (10 if measurement else 0))),
        "y": draw(st.lists(st.sampled_from(quantities), min_size=1, max_size=2, unique=True)),
        "x_scale": draw(st.sampled_from(["log", "linear"])),
        "y_scale": draw(st.sampled_from(["linear", "log", "symlog"])),
        "differences": draw(st.sampled_from([None, None, "first_line", "strength_0"])),
        "title": draw(st.sampled_from(TEXTS)),
        **{
            role: draw(st.sampled_from([None] * 50 + AXES))
            for role in draw(st.permutations(["rows", "columns", "lines"]))
        },
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("study") / "study.yaml"
    file.write_text("version: 1\n")
    return file


def attempt(path: Path, content: Mapping[str, Any]) -> Study | None:
    """The study, or None where it is refused as it should be."""
    try:
        return load(path, content)
    except UserError as problem:
        message = str(problem)
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
        assert len(message) < LONGEST + 10
        return None


def test_the_study_has_every_key_and_names_everything() -> None:
    text = FILE.read_text(encoding="utf-8")
    names = {str(key) for place in PLACES for key in place}
    assert {key.split(".")[-1] for part in PARTS for key in keys(part)} <= names
    lacking = {name for registry in REGISTRIES for name in registry if name not in text} - {"mnist", "cifar100"}
    assert not lacking
    study = load(FILE)
    for name in ("slope", "trace", "plane", "around"):
        assert is_finite(drawn(study, expand(study), study.figures[name], 0))


@settings(
    max_examples=EXAMPLES or 200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=not EXAMPLES
)
@given(changes=st.lists(CHANGE, min_size=1, max_size=2))
def test_a_changed_study_is_loaded_or_refused_in_one_line(path: Path, changes: list[tuple[Any, ...]]) -> None:
    content = copy.deepcopy(COMPLETE)
    for place, action, value in changes:
        change(content, place, action, value)
    study = attempt(path, content)
    if study is not None:
        expansion = expand(study)
        assert all(figure_digest(study, expansion, figure) for figure in study.figures.values())
        assert load(path, {**content, "smoke": True}).smoke


@settings(max_examples=EXAMPLES or 12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=not EXAMPLES)
@given(figure=figures(), seed=st.integers(0, 10**6))
def test_a_figure_that_is_loaded_can_be_drawn(path: Path, figure: dict[str, Any], seed: int) -> None:
    content = {**{key: COMPLETE[key] for key in ("setups", "measurements")}, "name": "one", "figures": {"one": figure}}
    content["experiments"] = {name: COMPLETE["experiments"][name] for name in figure["experiments"]}
    for _ in range(6):
        try:
            study = load(path, content)
        except UserError as problem:
            if not mend(figure, str(problem)):
                break
        else:
            assert is_finite(drawn(study, expand(study), study.figures["one"], seed))
            break
    attempt(path, content)


def mend(figure: dict[str, Any], problem: str) -> bool:
    """Gives an axis that a figure lacks to a role that is free, and takes away what is no axis; whether that may help."""
    if found := re.search(r"values of '(\w+)'; give it to", problem):
        free = [role for role in ("columns", "lines", "rows") if figure[role] is None]
        figure.update(dict.fromkeys(free[:1], found[1]))
        return bool(free)
    if found := re.search(r"\.(rows|columns|lines): (?:no axis|the axis)", problem):
        figure[found[1]] = None
        return True
    return False
