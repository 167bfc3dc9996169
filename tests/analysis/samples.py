"""Synthetic results of runs, written as training writes them, and the cells of a study that ask for them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmepkg.analysis.curves import Curves, collect
from nmepkg.analysis.results import read_results, result_path
from nmepkg.study.spec import Cell, Figure

GELU: dict[str, Any] = {"name": "gelu"}
RELU: dict[str, Any] = {"name": "relu"}
ABLATED: dict[str, Any] = {"name": "gelu", "second_derivative": "zero"}
SYNTHETIC: dict[str, Any] = {"name": "relu", "second_derivative": {"name": "gaussian", "beta": 100.0}}
PROVENANCE = {
    "nmepkg": "0.1.0",
    "python": "3.12.1",
    "jax": "0.10.2",
    "flax": "0.12.8",
    "optax": "0.2.8",
    "numpy": "2.3.0",
    "device": "cpu",
    "platform": "linux",
    "wall_seconds": 1.5,
    "code": "c0de",
}

# (setup, method name, activation, strength, seed) -> test accuracy, or None for a diverged run
Accuracy = Callable[[str, str, Mapping[str, Any], float, int], float | None]


@dataclass
class Sample:
    """A results folder in the making, and the cells and specs of its runs."""

    store: Path
    cells: list[Cell] = field(default_factory=list)
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(
        self,
        accuracy: float | None,
        *,
        experiment: str = "experiment",
        setup: str = "mlp",
        method: str = "psam",
        activation: Mapping[str, Any] = GELU,
        strength: float = 0.1,
        seed: int = 0,
        axes: Mapping[str, Any] | None = None,
        **provenance: Any,
    ) -> str:
        """Adds one cell, and its result unless another cell has the same run; returns the run's id."""
        second = None if strength == 0 else activation.get("second_derivative")
        name = "sgd" if strength == 0 else method
        spec = {
            "setup": setup,
            "activation": {**activation, "second_derivative": second},
            "method": {"name": name, "strength": strength},
            "seed": seed,
            **(axes or {}),
        }
        digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]
        run = f"{setup}-{name}-{strength:g}-{activation['name']}-s{seed}-{digest}"
        self.cells.append(
            Cell(experiment, setup, {"name": method}, dict(activation), strength, seed, dict(axes or {}), run)
        )
        if run not in self.specs:
            self.specs[run] = spec
            self.write(run, result(run, spec, accuracy, **provenance))
        return run

    def write(self, run: str, content: Mapping[str, Any]) -> None:
        path = result_path(self.store, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")

    def collect(self, figure: Figure) -> Curves:
        cells = [cell for cell in self.cells if cell.experiment in figure.experiments]
        specs = {cell.run_id: self.specs[cell.run_id] for cell in cells}
        return collect(figure, cells, read_results(self.store, specs), self.store)


def result(run: str, spec: Mapping[str, Any], accuracy: float | None, **provenance: Any) -> dict[str, Any]:
    """The content of a ``result.json``: two evaluations, the second better, or only the first of a diverged run."""
    history = [_row(0, 0.0)] if accuracy is None else [_row(0, 0.0), _row(60, accuracy)]
    return {
        "format": 1,
        "run": run,
        "spec": dict(spec),
        "status": "diverged" if accuracy is None else "completed",
        "history": history,
        "final": history[-1],
        "best_validation": history[-1],
        "diverged": {"epoch": 1, "step": 7} if accuracy is None else None,
        "steps": 60,
        "provenance": {**PROVENANCE, **provenance},
    }


def _row(epoch: int, accuracy: float) -> dict[str, Any]:
    row: dict[str, Any] = {"epoch": epoch, "step": epoch}
    for part, gain in (("train", 0.05), ("validation", 0.0), ("test", 0.0)):
        row |= {f"{part}_loss": 1.0 - accuracy, f"{part}_accuracy": min(1.0, accuracy + gain)}
    return row


def figure(**changes: Any) -> Figure:
    """A figure of one experiment: test accuracy against ρ, nothing on the other axes."""
    defaults: dict[str, Any] = {
        "name": "figure",
        "experiments": ("experiment",),
        "x": "rho",
        "y": "test_accuracy",
        "rows": None,
        "columns": None,
        "lines": None,
        "report": "final",
        "title": "",
        "kind": "accuracy_curve",
    }
    return Figure(**{**defaults, **changes})


def grid(
    store: Path,
    accuracy: Accuracy,
    *,
    setups: Sequence[str] = ("mlp",),
    methods: Sequence[str] = ("sam", "psam"),
    activations: Sequence[Mapping[str, Any]] = (GELU, RELU),
    rho: Sequence[float] = (0.0, 0.01, 0.1),
    seeds: int = 3,
) -> Sample:
    """The full grid of runs, in the order in which a study expands it."""
    sample = Sample(store)
    for s, m, a, r, k in itertools.product(setups, methods, activations, rho, range(seeds)):
        sample.add(accuracy(s, m, a, r, k), setup=s, method=m, activation=a, strength=r, seed=k)
    return sample
