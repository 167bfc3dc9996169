"""What a study is, once checked and expanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Spec = dict[str, Any]  # JSON-able, canonical: every option present, numbers of their declared type


@dataclass(frozen=True)
class Setup:
    """Data, model and recipe of a training: everything in a run's spec but method, activation and seed.

    Attributes:
      title: how figures call it.
      spec: ``data``, ``validation``, ``model``, ``loss``, ``optimizer`` and ``training``.
    """

    name: str
    title: str
    spec: Spec


@dataclass(frozen=True)
class Experiment:
    """A grid: every setup with every method, activation, strength and seed.

    Attributes:
      methods, activations: entries as written (name, options, label), lists among the options already expanded.
      strengths: ``rho`` or ``sigma2`` -> values; a method takes those of its own kind.
    """

    name: str
    setups: tuple[str, ...]
    methods: tuple[Spec, ...]
    activations: tuple[Spec, ...]
    strengths: Mapping[str, tuple[float, ...]]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Figure:
    """What a figure draws: its experiments, and the axis that each of x, rows, columns and lines shows.

    An axis is ``setup``, ``method``, ``activation``, ``experiment``, a strength (``rho``) or an option (``beta``).
    """

    name: str
    title: str
    experiments: tuple[str, ...]
    kind: str
    x: str
    y: str
    rows: str | None
    columns: str | None
    lines: str | None
    report: str


@dataclass(frozen=True)
class Study:
    """A checked study. ``store`` is the folder of all results, relative to the working directory."""

    path: Path
    name: str
    store: str
    setups: Mapping[str, Setup]
    experiments: Mapping[str, Experiment]
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Run:
    """One training: its canonical spec, the hash of its code, the data it needs."""

    id: str
    spec: Spec
    code: str
    data_id: str


@dataclass(frozen=True)
class Cell:
    """One point of an experiment's grid and the run that answers for it; several cells may share a run.

    Attributes:
      method, activation: as written in the study, before canonicalisation: at ρ = 0, PSAM's cell has SGD's run.
      strength: of the method; 0 for a method without one.
      axes: the values of the options of method and activation.
    """

    experiment: str
    setup: str
    method: Spec
    activation: Spec
    strength: float
    seed: int
    axes: Spec
    run_id: str


@dataclass(frozen=True)
class Expansion:
    """All that a study asks for: run id -> run, data id -> spec of the data, and the cells in the study's order."""

    runs: Mapping[str, Run]
    datasets: Mapping[str, Spec]
    cells: tuple[Cell, ...]

    def cells_of(self, figure: Figure) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.experiment in figure.experiments)

    def runs_of(self, figure: Figure) -> tuple[str, ...]:
        """Ids of the runs behind a figure, each once."""
        return tuple(dict.fromkeys(cell.run_id for cell in self.cells_of(figure)))
