"""What would decide a study's undecided claims: how many more seeds, of which runs, in which time; as YAML to paste."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nmepkg import records
from nmepkg.analysis.claims.judge import UNDECIDED, Judged, needed
from nmepkg.errors import UserError
from nmepkg.registry import METHODS
from nmepkg.storage import RESULT, Store
from nmepkg.study.spec import Cell, Line, Spec, Study
from nmepkg.upkeep.survey import device_time

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Trained:
    """What one more seed of a comparison trains: a method with an activation at a strength, and the measurement it needs."""

    setup: str
    method: str  # as JSON
    activation: str
    strength: float
    measurement: str | None


@dataclass(frozen=True)
class More:
    """More seeds for one claim in one setup.

    Attributes:
      at_effect, at_smallest: how many more decide it with a chance of 0.8, were the true effect that seen, or the smallest one
        of interest; None where no number would.
      seconds: device time of each training of a seed.
    """

    judged: Judged
    at_effect: int | None
    at_smallest: int | None
    seconds: Mapping[Trained, float]

    def cost(self, seeds: int) -> float:
        """Device time of so many seeds."""
        return seeds * sum(self.seconds.values())


def undecided(store: Store, study: Study, judged: Sequence[Judged], found: Sequence[str]) -> list[More]:
    """What each undecided claim lacks, the cheapest first; last those that no number of seeds would decide.

    Args:
      found: the verdicts.

    Raises:
      UserError: a result cannot be read.
    """
    times: dict[str, float] = {}
    lacking = []
    for one, verdict in zip(judged, found, strict=True):
        if verdict == UNDECIDED and one.evidence is not None:
            seconds = {
                trained: statistics.median(_seconds(store, cell.run_id, times) for cell in cells.values())
                for trained, cells in _trainings(study, one)
            }
            there = len(one.comparison.seeds)
            at_effect, at_smallest = (None if total is None else total - there for total in needed(one))
            lacking.append(More(one, at_effect, at_smallest, seconds))
    return sorted(lacking, key=lambda more: (more.at_effect is None, more.cost(more.at_effect or 0)))


def _seconds(store: Store, run: str, known: dict[str, float]) -> float:
    if run not in known:
        result = records.read(store.result(run), RESULT, {"run": run})
        known[run] = device_time(result["provenance"])
    return known[run]


def _trainings(study: Study, one: Judged) -> Iterator[tuple[Trained, Mapping[int, Cell]]]:
    comparison = one.comparison
    measurement = study.figures[comparison.claim.figure].measurement
    for arm, (own, choosing) in comparison.runs.items():
        chooser = arm.strength if isinstance(arm.strength, Line) else arm.line
        for line, runs in ((arm.line, own), (chooser, choosing)):
            for strength, cells in runs.items():
                texts = records.to_json(line.method), records.to_json(line.activation)
                yield Trained(comparison.setup, *texts, strength, measurement), cells


def affordable(lacking: Iterable[More], budget: float | None) -> list[More]:
    """Those that a budget of device seconds decides at the effect seen, the cheapest first; None: all that seeds can decide.

    What several claims need is trained, and counted, once.
    """
    chosen: list[More] = []
    for more in lacking:
        if more.at_effect is not None and (budget is None or cost([*chosen, more]) <= budget):
            chosen.append(more)
    return chosen


def cost(chosen: Iterable[More]) -> float:
    """Device time, in seconds, of all that these claims need."""
    chosen = list(chosen)
    seconds = {trained: time for more in chosen for trained, time in more.seconds.items()}
    return sum(seconds[trained] * len(seeds) for trained, seeds in _seeds(chosen).items())


def _seeds(chosen: Iterable[More]) -> dict[Trained, tuple[int, ...]]:
    """The seeds that each training still needs: those after the last one there is, as many as the most demanding claim asks."""
    found: dict[Trained, set[int]] = defaultdict(set)
    for more in chosen:
        first = max(more.judged.comparison.seeds) + 1
        for trained in more.seconds:
            found[trained] |= set(range(first, first + (more.at_effect or 0)))
    return {trained: tuple(sorted(seeds)) for trained, seeds in found.items()}


def experiments(chosen: Iterable[More]) -> str:
    """YAML of experiments that train what is chosen, to paste under ``experiments`` of the study."""
    lines: dict[tuple[Any, ...], list[float]] = {}
    for trained, seeds in _seeds(chosen).items():
        key = (trained.setup, trained.method, trained.activation, seeds, trained.measurement)
        lines.setdefault(key, []).append(trained.strength)
    found: dict[str, Any] = {}
    for place, ((setup, method, activation, seeds, measurement), strengths) in enumerate(lines.items(), start=1):
        written: Spec = {
            "setups": [setup],
            "methods": [_short(yaml.safe_load(method))],
            "activations": [_short(yaml.safe_load(activation))],
        }
        if kind := METHODS[yaml.safe_load(method)["name"]].strength:
            written[kind] = sorted(strengths)
        written["seeds"] = list(seeds)
        if measurement:
            written["measurements"] = [measurement]
        found[f"more_{place}"] = written
    return yaml.safe_dump(
        {"experiments": found}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )


def _short(entry: Spec) -> Any:
    """An entry as a person writes it: what is null is left out, and a name alone is no mapping."""
    written = {
        key: _short(value) if isinstance(value, dict) else value for key, value in entry.items() if value is not None
    }
    return written["name"] if list(written) == ["name"] else written


def seconds_of(text: str) -> float:
    """``30min``, ``2h``, ``90s``, ``1.5d`` in seconds.

    Raises:
      UserError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", text.strip())
    if match is None:
        raise UserError(f"--budget {text}: is no time; write, say, 30min or 2h")
    return float(match[1]) * _UNITS[match[2]]
