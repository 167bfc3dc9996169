"""Checks of a claim: what it compares exists, is of one kind, and has the seeds to be judged."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from nmepkg.registry import MEASUREMENTS, METHODS, STRENGTHS
from nmepkg.study import arms, schema
from nmepkg.study.checks import StudyError, check_entry, join, shown, suggestion
from nmepkg.study.claim_keys import BEST
from nmepkg.study.setups import counts, points
from nmepkg.study.spec import Arm, Cell, Claim, Comparison, Figure, Line, Spec, Study

# What a landscape says of its points, as numbers: analysis.landscape_numbers computes them.
LANDSCAPE_NUMBERS = ("share_near_boundaries", "largest_norm_N_layer")


def load_claim(name: str, spec: Spec, study: Study) -> Claim:
    """Checks the keys of a claim against the study that it is of. What it compares, :func:`comparisons` finds.

    Raises:
      StudyError: it names what the study does not have, or what does not go together.
    """
    where = join("claims", name)
    figure = study.figures.get(spec["figure"])
    if figure is None:
        raise StudyError(
            join(where, "figure"),
            f"unknown figure {shown(spec['figure'])}; {suggestion(spec['figure'], study.figures)}",
        )
    if figure.kind == "plane":
        raise StudyError(
            join(where, "figure"),
            f"{figure.name!r} draws planes, which have no number to compare; name a figure of curves",
        )
    if spec["scale"] == "log" and spec["smallest"] <= 1:
        raise StudyError(
            join(where, "smallest"), f"{spec['smallest']:g} is no factor above 1, as the scale 'log' has; write, say, 2"
        )
    for i, setup in enumerate(spec["setups"] or ()):
        if setup not in study.setups:
            raise StudyError(
                join(where, "setups", i), f"unknown setup {shown(setup)}; {suggestion(setup, study.setups)}"
            )
    a = _arm({**spec["both"], **spec["a"]}, figure, study, join(where, "a"))
    b = spec["b"]
    if isinstance(b, Mapping):
        b = _arm({**spec["both"], **b}, figure, study, join(where, "b"))
    elif spec["scale"] == "log" and b <= 0:
        raise StudyError(join(where, "b"), f"{b:g} has no logarithm; compare with a number above 0")
    rest = {key: spec[key] for key in ("figure", "says", "expect", "smallest", "scale", "diverged")}
    return Claim(name=name, a=a, b=b, setups=spec["setups"] and tuple(spec["setups"]), **rest)


def _arm(spec: Spec, figure: Figure, study: Study, where: str) -> Arm:
    own = {key: value for key, value in spec.items() if key != "minus"}
    minus = None
    if "minus" in spec:
        other = {**own, **spec["minus"]}
        minus = _arm({k: v for k, v in other.items() if k != "per_step"}, figure, study, join(where, "minus"))
    y = _y(own, figure, study, where)
    if figure.landscape is not None:
        if wrong := next((key for key in ("method", "at", "radius", "per_step", *STRENGTHS) if key in own), None):
            raise StudyError(join(where, wrong), "a landscape has none; remove it")
        within = own.get("within")
        activation = _entry("activation", own, where)
        if y == "share_near_boundaries" and (within is None or "beta" not in activation):
            raise StudyError(
                where,
                f"{y!r} is of what lies within so many 1/β of a boundary; give it an activation with β, and 'within'",
            )
        return Arm(Line({}, activation), y=y, within=within, minus=minus)
    if "within" in own:
        raise StudyError(join(where, "within"), "is of landscapes alone; remove it")
    line = Line(_entry("method", own, where), _entry("activation", own, where))
    at = own.get("at")
    if figure.measurement is None and at is not None:
        raise StudyError(join(where, "at"), f"{figure.name!r} draws no measurement; remove it")
    if isinstance(at, str) and not re.fullmatch(r"initial|final|\d{1,2}%", at):
        raise StudyError(
            join(where, "at"), f"unknown value {shown(at)}; write initial, final, a step, or a share as 40%"
        )
    if figure.measurement is not None and at is None:
        at = "final"
    if own.get("per_step") and minus is None:
        raise StudyError(join(where, "per_step"), "is of a difference; say by 'minus' what is subtracted")
    radius, per_step = _radius(own, figure, study, where), own.get("per_step", False)
    return Arm(line, _strength(own, line, where), y, at, radius, minus=minus, per_step=per_step)


def _radius(spec: Spec, figure: Figure, study: Study, where: str) -> float | None:
    radii = study.measurements[figure.measurement].get("radii") if figure.measurement else None
    radius = spec.get("radius")
    if radii is None:
        if radius is not None:
            raise StudyError(join(where, "radius"), f"what {figure.name!r} draws has no radii; remove it")
        return None
    if radius is None and len(radii) > 1:
        raise StudyError(where, f"the key 'radius' is missing; choose from {', '.join(map(shown, radii))}")
    if radius is not None and radius not in radii:
        raise StudyError(
            join(where, "radius"),
            f"measurements.{figure.measurement} has no such one; choose from {', '.join(map(shown, radii))}",
        )
    return float(radii[0] if radius is None else radius)


def _y(spec: Spec, figure: Figure, study: Study, where: str) -> str:
    if figure.landscape is not None:
        valid: Collection[str] = LANDSCAPE_NUMBERS
        default = None
    else:
        kind = figure.measurement and study.measurements[figure.measurement]["kind"]
        valid = schema.METRICS if kind is None else MEASUREMENTS[kind].quantities
        default = figure.y[0] if len(figure.y) == 1 else None
    y = spec.get("y", default)
    if y is None:
        raise StudyError(where, f"the key 'y' is missing; choose from {', '.join(figure.y if default else valid)}")
    if y not in valid:
        raise StudyError(join(where, "y"), f"unknown value {shown(y)}; {suggestion(y, valid)}")
    return str(y)


def _entry(kind: str, spec: Spec, where: str) -> Spec:
    if kind not in spec:
        raise StudyError(where, f"the key {kind!r} is missing; name it there, or in 'both'")
    return check_entry(kind, spec[kind], join(where, kind))


def _strength(spec: Spec, line: Line, where: str) -> float | Line:
    kind = METHODS[line.method["name"]].strength
    # What both arms have may be of one of them alone: SGD beside PSAM at some ρ.
    if kind is None:
        return 0.0
    if kind not in spec:
        raise StudyError(
            where, f"the key {kind!r} is missing; the method {line.method['name']!r} takes it as its strength"
        )
    value, place = spec[kind], join(where, kind)
    if value == BEST:
        return line
    if isinstance(value, str):
        raise StudyError(place, f"unknown value {shown(value)}; write a number, {BEST}, or {{best_of: {{method: …}}}}")
    if not isinstance(value, Mapping):
        return float(value)
    if list(value) != ["best_of"] or not isinstance(value["best_of"], Mapping):
        raise StudyError(place, f"{shown(dict(value))} is not understood; write {{best_of: {{method: …}}}}")
    other, place = dict(value["best_of"]), join(place, "best_of")
    if unknown := next((key for key in other if key not in ("method", "activation")), None):
        raise StudyError(place, f"unknown key {shown(unknown)}; {suggestion(unknown, ['method', 'activation'])}")
    chooser = Line(
        _entry("method", other, place), _entry("activation", {"activation": line.activation, **other}, place)
    )
    if METHODS[chooser.method["name"]].strength != kind:
        raise StudyError(place, f"{chooser.method['name']!r} has no {kind}; name a method that takes it")
    return chooser


def comparisons(study: Study, claim: Claim, known: arms.Index) -> list[Comparison]:
    """What a claim compares, a setup each; of a landscape, once.

    Args:
      known: the study's runs, :func:`nmepkg.study.arms.index`.

    Raises:
      StudyError: it names a setup that lacks the runs, or no setup has them.
    """
    where, figure = join("claims", claim.name), study.figures[claim.figure]
    if figure.landscape is not None:
        shown_there = [entry for entry, _ in study.landscapes[figure.landscape]]
        for arm in (claim.a, claim.b):
            if isinstance(arm, Arm) and landscape_panel(shown_there, arm) is None:
                raise StudyError(where, f"landscapes.{figure.landscape} has no such activation; add it there")
        return [Comparison(claim, figure.landscape)]
    offered = dict.fromkeys(s for name in figure.experiments for s in study.experiments[name].setups)
    found, lacking = [], None
    for setup in claim.setups or offered:
        try:
            comparison = arms.compare(study, claim, setup, known)
        except arms.TooFewSeedsError as problem:
            raise StudyError(where, str(problem)) from None
        except LookupError as problem:
            lacking = lacking or str(problem)
            if claim.setups:
                break
            continue
        _refuse(study, claim, setup, where)
        found.append(comparison)
    if lacking and (claim.setups or not found):
        raise StudyError(where, lacking)
    return found


def landscape_panel(entries: list[Spec], arm: Arm) -> int | None:
    """Which panel of a landscape an arm is of."""
    complete = [check_entry("activation", {k: v for k, v in e.items() if k != "label"}, "") for e in entries]
    return complete.index(arm.line.activation) if arm.line.activation in complete else None


def _refuse(study: Study, claim: Claim, setup: str, where: str) -> None:
    figure, spec = study.figures[claim.figure], study.setups[setup].spec
    for arm in (claim.a, claim.b):
        if not isinstance(arm, Arm):
            continue
        needs = [arm.y, *(["validation_accuracy"] if isinstance(arm.strength, Line) else [])]
        if figure.measurement is None and any("validation" in y for y in needs) and not counts(spec).validation:
            raise StudyError(
                where,
                f"it needs validation examples, and setups.{setup}.validation.fraction leaves none; raise it",
            )
        ends = [place(one.at, study, figure, setup, where) for one in (arm, arm.minus) if one and figure.measurement]
        if arm.per_step and len({step_of(point, study, setup) for point in ends}) < 2:
            raise StudyError(
                where,
                f"measurements.{figure.measurement} has one point for both ends of a slope, {ends[0]}; name others",
            )


def place(at: str | int | None, study: Study, figure: Figure, setup: str, where: str) -> str | int:
    """Where in the figure's measurement something is: a share of training becomes the point nearest to it.

    Raises:
      StudyError: nothing is measured there.
    """
    steps = step_of("final", study, setup)
    measured = points(study.measurements[figure.measurement or ""]["at"], steps)
    if isinstance(at, str) and at.endswith("%"):
        wanted = int(at[:-1]) / 100 * steps
        return min(measured, key=lambda point: abs(step_of(point, study, setup) - wanted))
    if at is not None and at in measured:
        return at
    raise StudyError(
        where,
        f"measurements.{figure.measurement} measures nothing at {at}; choose from {', '.join(map(str, measured))}",
    )


def step_of(point: str | int, study: Study, setup: str) -> int:
    """The training step of a point that is measured."""
    if isinstance(point, int):
        return point
    return counts(study.setups[setup].spec).steps if point == "final" else 0


def planned_index(study: Study, cells: Mapping[str, list[Cell]]) -> arms.Index:
    """The runs of cells that are planned, by experiment: one stands for all seeds of its experiment."""
    every = (cell for some in cells.values() for cell in some)
    return arms.index(every, lambda cell: cell.run_id, lambda cell: study.experiments[cell.experiment].seeds)


def check_claims(
    study: Study, specs: Mapping[str, Any], cells: Mapping[str, list[Cell]], lenient: bool
) -> dict[str, Claim]:
    """The claims of a study.

    Args:
      specs: claims as written, complete.
      lenient: whether the study is what is left of one, where a claim that lost its runs goes.

    Raises:
      StudyError: a claim is wrong.
    """
    found: dict[str, Claim] = {}
    known = planned_index(study, cells) if specs else {}
    for name, spec in specs.items():
        try:
            claim = load_claim(name, spec, study)
            comparisons(study, claim, known)
        except StudyError:
            if not lenient:
                raise
        else:
            found[name] = claim
    return found
