"""The verdicts of a study's claims, as a table: a row a claim and setup."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nmepkg.analysis.claims.comparisons import (
    ALPHA,
    Evidence,
    holm,
    level_of_look,
    sign_flip,
    smallest_effect,
    to_decide,
    weigh,
)
from nmepkg.analysis.claims.landscape_numbers import number as landscape_number
from nmepkg.analysis.claims.numbers import Reader, Side
from nmepkg.analysis.labels import activation_label, method_label, number, symbol
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.observations import Source
from nmepkg.analysis.quantities import is_accuracy
from nmepkg.analysis.results import read_results
from nmepkg.registry import METHODS
from nmepkg.runs.compared import compared_measurements, compared_runs, study_comparisons
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.spec import Arm, Comparison, Line, Study

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


@dataclass(frozen=True)
class Judged:
    """A claim in one setup with what its seeds say; of a landscape, where nothing is random, ``evidence`` is None.

    Attributes:
      look: which look at these runs it is, from 1.
      declared: whether it was recorded before its runs were there.
      family: how many claims its setup has.
    """

    comparison: Comparison
    effect: float
    evidence: Evidence | None = None
    p_sign: float = math.nan
    sides: tuple[Side | None, Side | None] = (None, None)
    look: int = 1
    declared: bool = False
    family: int = 1


def judge(
    study: Study,
    expansion: Expansion,
    look: Callable[[Comparison], int],
    declared: Callable[[Comparison], bool],
) -> list[Judged]:
    """Every claim of a study, judged.

    Args:
      look: which look at a comparison's runs this is.
      declared: whether it was recorded before its runs.

    Raises:
      UserError: results are missing, or not those asked for.
    """
    found = study_comparisons(study, expansion)
    store = Store(Path(study.store))
    specs = {run: expansion.runs[run].spec for run in compared_runs(found)}
    jobs = [expansion.measurements[id] for id in compared_measurements(study, found)]
    source = Source(store, read_results(store, specs), read_measurements(store, jobs, specs))
    sizes = Counter(comparison.setup for comparison in found)
    judged = [
        _landscape(study, expansion, comparison)
        if study.figures[comparison.claim.figure].landscape is not None
        else _seeds(Reader(study, source, comparison), look(comparison), declared(comparison))
        for comparison in found
    ]
    return [replace(one, family=sizes[one.comparison.setup]) for one in judged]


def _seeds(reader: Reader, look: int, declared: bool) -> Judged:
    comparison, claim = reader.comparison, reader.comparison.claim
    a = reader.side(claim.a)
    b = reader.side(claim.b) if isinstance(claim.b, Arm) else None
    fixed = 0.0 if isinstance(claim.b, Arm) else math.log(claim.b) if reader.logarithmic else claim.b
    pairs = [(a.values[seed], b.values[seed] if b else fixed) for seed in comparison.seeds]
    d = np.array([x - y for x, y in pairs if x is not None and y is not None], np.float64)
    smallest = math.log(claim.smallest) if reader.logarithmic else claim.smallest
    evidence = weigh(d, claim.expect, smallest, level_of_look(look))
    return Judged(comparison, evidence.mean, evidence, sign_flip(d), (a, b), look, declared)


def _landscape(study: Study, expansion: Expansion, comparison: Comparison) -> Judged:
    claim = comparison.claim
    values = [
        landscape_number(study, expansion, comparison.setup, arm) if isinstance(arm, Arm) else arm
        for arm in (claim.a, claim.b)
    ]
    return Judged(comparison, values[0] - values[1])


def verdicts(judged: Sequence[Judged]) -> list[str]:
    """``supported``, ``contradicted`` or ``undecided``, with Holm's correction over the claims of each setup.

    A p of look k counts as p · α / αₖ, so that claims that were looked at more often need more.
    """
    found = [UNDECIDED] * len(judged)
    for members in _by_setup(judged).values():
        for verdict, name in ((SUPPORTED, "p"), (CONTRADICTED, "against")):
            for place, p in zip(members, _adjusted([judged[i] for i in members], name), strict=True):
                if p < ALPHA:
                    found[place] = verdict
    for place, one in enumerate(judged):
        if one.evidence is None:
            found[place] = _exact(one)
    return found


def _adjusted(judged: Iterable[Judged], name: str) -> list[float]:
    p = [
        math.nan if one.evidence is None else getattr(one.evidence, name) * ALPHA / level_of_look(one.look)
        for one in judged
    ]
    return holm([min(1.0, value) if not math.isnan(value) else value for value in p])


def _by_setup(judged: Sequence[Judged]) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for place, one in enumerate(judged):
        members.setdefault(one.comparison.setup, []).append(place)
    return members


def _exact(one: Judged) -> str:
    claim, effect = one.comparison.claim, one.effect
    holds = {
        "less": effect < 0,
        "greater": effect > 0,
        "equal": abs(effect) <= claim.smallest,
        "different": abs(effect) > claim.smallest,
    }[claim.expect]
    return SUPPORTED if holds else CONTRADICTED


def table(study: Study, judged: Sequence[Judged]) -> pd.DataFrame:
    """The claims with their verdicts, a row each. docs/claims.md says what each column is."""
    adjusted: dict[int, float] = {}
    for members in _by_setup(judged).values():
        adjusted |= dict(zip(members, _adjusted([judged[i] for i in members], "p"), strict=True))
    rows = []
    for place, (one, verdict) in enumerate(zip(judged, verdicts(judged), strict=True)):
        claim, evidence = one.comparison.claim, one.evidence
        rows.append(
            {
                "claim": claim.name,
                "setup": one.comparison.setup,
                "figure": claim.figure,
                "says": claim.says,
                "a": _text(study, one, claim.a, one.sides[0]),
                "b": _text(study, one, claim.b, one.sides[1]),
                "expect": claim.expect,
                "unit": _unit(study, one),
                "effect": _shown(one, one.effect),
                "ci_low": _shown(one, evidence.low if evidence else math.nan),
                "ci_high": _shown(one, evidence.high if evidence else math.nan),
                "confidence": 1 - level_of_look(one.look) if evidence else math.nan,
                "smallest": claim.smallest,
                "p": evidence.p if evidence else math.nan,
                "p_holm": adjusted[place],
                "p_sign": one.p_sign,
                "n_seeds": evidence.n if evidence else 0,
                "n_left_out": len(one.comparison.seeds) - (evidence.n if evidence else 0),
                "n_diverged_a": len(one.sides[0].diverged) if one.sides[0] else 0,
                "n_diverged_b": len(one.sides[1].diverged) if one.sides[1] else 0,
                "look": one.look if evidence else 0,
                "declared": "" if not evidence else "before its runs" if one.declared else "after its runs",
                "verdict": verdict,
                **_lacking(one, verdict),
            }
        )
    return pd.DataFrame(rows)


def needed(one: Judged) -> tuple[int | None, int | None]:
    """How many seeds would decide a claim at the next look, were its true effect that seen, or the smallest one of interest.

    None where no number would: an effect on the very edge of what is claimed, or too few seeds to tell how much they differ.
    """
    claim, e = one.comparison.claim, one.evidence
    if e is None or e.n < 2:
        return None, None
    smallest = math.log(claim.smallest) if claim.scale == "log" else claim.smallest
    alpha = level_of_look(one.look + 1) / one.family  # Holm's smallest level
    true = {"less": -smallest, "greater": smallest, "equal": 0.0, "different": smallest}[claim.expect]
    found = (to_decide(effect, e.sd, claim.expect, smallest, alpha) for effect in (e.mean, true))
    first, second = (None if n is None else max(n, e.n + 1) for n in found)
    return first, second


def _lacking(one: Judged, verdict: str) -> dict[str, Any]:
    """What these seeds could have shown, and how many it would take."""
    e, claim = one.evidence, one.comparison.claim
    could = smallest_effect(e.sd, e.n, level_of_look(one.look)) if e and e.n > 1 else math.nan
    at_effect, at_smallest = needed(one) if verdict == UNDECIDED else (None, None)
    return {
        "could_show": math.exp(could) if claim.scale == "log" else could,
        "needed_at_effect": at_effect,
        "needed_at_smallest": at_smallest,
    }


def _shown(one: Judged, value: float) -> float:
    """An effect or bound in the unit of the table."""
    return math.exp(value) if one.comparison.claim.scale == "log" else value


def _unit(study: Study, one: Judged) -> str:
    claim = one.comparison.claim
    if claim.scale == "log":
        return "factor"
    return "points" if is_accuracy(claim.a.y) else claim.a.y


def _text(study: Study, one: Judged, arm: Arm | float, side: Side | None) -> str:
    """``PSAM (ρ = 0.1), GELU``; where validation chose the strength, those of all seeds."""
    if not isinstance(arm, Arm):
        return number(arm)
    activation = activation_label(arm.line.activation)
    if side is None:
        return activation
    optimizer = study.setups[one.comparison.setup].spec["optimizer"]["name"]
    text = f"{method_label(arm.line.method, (optimizer,))}, {activation}"
    kind = METHODS[arm.line.method["name"]].strength
    if kind is not None:
        counted = Counter(side.strengths.values())
        several = {
            s: f" ({n} of {len(side.strengths)})" if len(counted) > 1 else "" for s, n in sorted(counted.items())
        }
        strengths = ", ".join(f"{number(s)}{n}" for s, n in several.items())
        text += f", {symbol(kind)} = {strengths}{', best by validation' if isinstance(arm.strength, Line) else ''}"
    if arm.radius is not None:
        text += f", radius {number(arm.radius)}"
    if arm.at is not None:
        text += f", {arm.at}" + (f" minus {arm.minus.at}" if arm.minus else "") + (", a step" if arm.per_step else "")
    return text
