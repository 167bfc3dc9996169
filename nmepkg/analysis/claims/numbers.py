"""The number of each seed that a claim compares, and the strength that validation chooses for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nmepkg.analysis.measurements import quantity
from nmepkg.analysis.observations import Source
from nmepkg.analysis.quantities import is_accuracy
from nmepkg.analysis.results import metric
from nmepkg.study.claims import place, step_of
from nmepkg.study.setups import classes
from nmepkg.study.spec import Arm, Cell, Comparison, Figure, Study

Runs = Mapping[float, Mapping[int, Cell]]  # strength -> seed -> cell


@dataclass(frozen=True)
class Side:
    """One arm, seed by seed.

    Attributes:
      values: seed -> its number, None where the run has none and nothing counts in its place.
      strengths: seed -> the strength that it is of.
      diverged: seeds whose run has no number of its own.
    """

    values: Mapping[int, float | None]
    strengths: Mapping[int, float]
    diverged: frozenset[int]


@dataclass(frozen=True)
class Reader:
    """Numbers of a study's runs, as a claim compares them: accuracies in points.

    Attributes:
      source: the results, and the measurements of the claim's figure.
    """

    study: Study
    source: Source
    comparison: Comparison

    @property
    def figure(self) -> Figure:
        return self.study.figures[self.comparison.claim.figure]

    @property
    def logarithmic(self) -> bool:
        return self.comparison.claim.scale == "log"

    def side(self, arm: Arm) -> Side:
        """An arm's numbers; on the scale ``log`` their logarithms to base e."""
        runs, choosing = self.comparison.runs[arm]
        seeds = self.comparison.seeds
        strengths = chosen(choosing, seeds, self._validation) if choosing else dict.fromkeys(seeds, next(iter(runs)))
        found = {seed: self._number(arm, runs[strengths[seed]][seed]) for seed in seeds}
        diverged = {seed for seed, (_, own) in found.items() if not own}
        values = {seed: self._scaled(value) for seed, (value, _) in found.items()}
        if arm.minus is not None:
            other = self.side(arm.minus)
            steps = self._step(arm) - self._step(arm.minus) if arm.per_step else 1
            values = {seed: _minus(value, other.values[seed], steps) for seed, value in values.items()}
            diverged |= other.diverged
        return Side(values, strengths, frozenset(diverged))

    def _scaled(self, value: float | None) -> float | None:
        if value is None or not self.logarithmic:
            return value
        return math.log(value) if value > 0 else None

    def _number(self, arm: Arm, cell: Cell) -> tuple[float | None, bool]:
        """The number of a run, and whether it is its own: what diverged may count as chance."""
        figure = self.figure
        content = self.source.measurement(figure, cell)
        if content is not None:
            point = next(point for point in content["points"] if point["at"] == self._place(arm))
            path = self.source.store.measurement(content["run"], content["measurement"])
            value = quantity(content, point, arm.y, path, arm.radius)
            return value, value is not None
        value = self._metric(arm.y, cell)
        if value is not None:
            return value, True
        counts = is_accuracy(arm.y) and self.comparison.claim.diverged == "chance"
        return (self._chance if counts else None), False

    def _place(self, arm: Arm) -> str | int:
        return place(arm.at, self.study, self.figure, self.comparison.setup, "")

    def _step(self, arm: Arm) -> int:
        return step_of(self._place(arm), self.study, self.comparison.setup)

    def _metric(self, name: str, cell: Cell) -> float | None:
        result, path = self.source.results[cell.run_id], self.source.store.result(cell.run_id)
        if result["status"] != "completed":
            return None
        return metric(result, self.figure.report, name, path) * (100 if is_accuracy(name) else 1)

    def _validation(self, cell: Cell) -> float:
        value = self._metric("validation_accuracy", cell)
        return self._chance if value is None else value

    @property
    def _chance(self) -> float:
        return 100 / classes(self.study.setups[self.comparison.setup].spec["data"])


def chosen(runs: Runs, seeds: tuple[int, ...], score: Callable[[Cell], float]) -> dict[int, float]:
    """For each seed the strength of the highest mean score over the *other* seeds, the smallest of equals.

    So no seed has a say in the strength that it is judged at.

    Args:
      score: of a cell's run.
    """
    strengths = sorted(runs)
    table = np.array([[score(runs[strength][seed]) for seed in seeds] for strength in strengths])
    others = np.round(table.sum(axis=1, keepdims=True) - table, 9)  # equals are equal whatever the order of sums
    return {seed: strengths[int(best)] for seed, best in zip(seeds, others.argmax(axis=0), strict=True)}


def _minus(value: float | None, other: float | None, steps: int) -> float | None:
    return None if value is None or other is None else (value - other) / steps
