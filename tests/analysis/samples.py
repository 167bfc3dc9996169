"""Synthetic results of runs, written as training writes them, and the cells of a study that ask for them."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmepkg import records
from nmepkg.analysis.curves import Curves, collect
from nmepkg.analysis.measurements import read_measurements
from nmepkg.analysis.observations import Source
from nmepkg.analysis.planes import Planes
from nmepkg.analysis.planes import collect as collect_planes
from nmepkg.analysis.results import read_results
from nmepkg.runs.expansion import Job
from nmepkg.storage import MEASUREMENT, RESULT, Store
from nmepkg.study.spec import Cell, Figure

GELU: dict[str, Any] = {"name": "gelu"}
RELU: dict[str, Any] = {"name": "relu"}
ABLATED: dict[str, Any] = {"name": "gelu", "second_derivative": "zero"}
SYNTHETIC: dict[str, Any] = {"name": "relu", "second_derivative": {"name": "gaussian", "beta": 100.0}}
PROVENANCE: dict[str, Any] = {
    "from_step": 0,
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
    "earlier": [],
}

TRACES: dict[str, Any] = {
    "kind": "traces",
    "at": ["initial", 100, "final"],
    "split": "train",
    "examples": 1024,
    "batch_size": None,
    "batch_norm": "train",
    "seed": 0,
    "samples": 100,
    "probe": "rademacher",
}
SECOND: dict[str, Any] = {
    **{key: value for key, value in TRACES.items() if key not in ("samples", "probe")},
    "kind": "second_derivative",
    "at": ["initial", "final"],
    "threshold": 0.01,
    "relative": True,
}
PLANE: dict[str, Any] = {
    **{key: value for key, value in TRACES.items() if key not in ("samples", "probe")},
    "kind": "loss_plane",
    "at": ["final"],
    "directions": "top_H",
    "range": 1.0,
    "points": 5,
    "steps": 20,
    "tolerance": 1e-3,
}
STEPS = 600  # of a run that doesn't diverge

# Where measured -> quantities there: a dict (null is no finite number), None where parameters aren't finite, "not_reached".
Measured = Mapping[Any, Mapping[str, Any] | str | None]

# (setup, method name, activation, strength, seed) -> test accuracy, or None for a diverged run
Accuracy = Callable[[str, str, Mapping[str, Any], float, int], float | None]


@dataclass
class Sample:
    """A results folder in the making, and the cells and specs of its runs."""

    folder: Path
    cells: list[Cell] = field(default_factory=list)
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.folder)

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
        options: Mapping[str, Any] | None = None,
        measured: Measured | None = None,
        measurement: Mapping[str, Any] = TRACES,
        optimizer: str = "sgd",
        **provenance: Any,
    ) -> str:
        """Adds one cell, and its result unless another cell has the same run; returns the run's id.

        With ``measured``, adds a measurement of the run too, called by its kind.
        """
        second = None if strength == 0 else activation.get("second_derivative")
        name = "sgd" if strength == 0 else method
        spec = {
            "setup": setup,
            "optimizer": {"name": optimizer},
            "activation": {**activation, "second_derivative": second},
            "method": {"name": name, "strength": strength, **(options or {})},
            "seed": seed,
            **(axes or {}),
        }
        digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]
        run = f"{setup}-{name}-{strength:g}-{activation['name']}-s{seed}-{digest}"
        job = Job(hashlib.sha256(f"{run}{measurement}".encode()).hexdigest()[:12], dict(measurement), "c0de", run)
        entry = {"name": method, **(options or {})}
        measurements = {str(measurement["kind"]): job.id} if measured is not None else {}
        self.cells.append(
            Cell(experiment, setup, entry, dict(activation), strength, seed, dict(axes or {}), run, measurements)
        )
        if run not in self.specs:
            self.specs[run] = spec
            self.write(run, result(run, spec, accuracy, **provenance))
        if measured is not None and job.id not in self.jobs:
            self.jobs[job.id] = job
            self.write_measurement(job, measurement_content(job, spec, measured))
        return run

    def write_measurement(self, job: Job, content: Mapping[str, Any]) -> None:
        records.write(self.store.measurement(str(job.run), job.id), MEASUREMENT, content)

    def write(self, run: str, content: Mapping[str, Any]) -> None:
        records.write(self.store.result(run), RESULT, content)

    def collect(self, figure: Figure) -> Curves:
        return collect(figure, *self.source(figure))

    def planes(self, figure: Figure) -> Planes:
        return collect_planes(figure, *self.source(figure))

    def source(self, figure: Figure) -> tuple[list[Cell], Source]:
        """The cells of a figure, and their files as read."""
        cells = [cell for cell in self.cells if cell.experiment in figure.experiments]
        specs = {cell.run_id: self.specs[cell.run_id] for cell in cells}
        jobs = [self.jobs[cell.measurements[figure.measurement]] for cell in cells] if figure.measurement else []
        return cells, Source(self.store, read_results(self.store, specs), read_measurements(self.store, jobs, specs))


def result(run: str, spec: Mapping[str, Any], accuracy: float | None, **provenance: Any) -> dict[str, Any]:
    """The content of a ``result.json``: two evaluations, the second better, or only the first of a diverged run."""
    history = [_row(0, 0.0)] if accuracy is None else [_row(0, 0.0), _row(60, accuracy)]
    return {
        "format": RESULT.format,
        "run": run,
        "spec": dict(spec),
        "status": "diverged" if accuracy is None else "completed",
        "history": history,
        "final": history[-1],
        "best_validation": history[-1],
        "median_last": {"evaluations": 1, **{key: x for key, x in history[-1].items() if key not in ("epoch", "step")}},
        "diverged": {"epoch": 1, "step": 7} if accuracy is None else None,
        "files": {"params.npz": "9a4a"},
        "provenance": {**PROVENANCE, **provenance},
    }


def _row(epoch: int, accuracy: float) -> dict[str, Any]:
    row: dict[str, Any] = {"epoch": epoch, "step": epoch}
    for part, gain in (("train", 0.05), ("validation", 0.0), ("test", 0.0)):
        row |= {f"{part}_loss": 1.0 - accuracy, f"{part}_accuracy": min(1.0, accuracy + gain)}
    return row


def measurement_content(job: Job, run_spec: Mapping[str, Any], measured: Measured, **provenance: Any) -> dict[str, Any]:
    """The content of a measurement's file. A run that isn't finite somewhere ended 7 steps after the place before."""
    points: list[dict[str, Any]] = []
    for at in job.spec["at"]:
        values = measured[at]
        step = {"initial": 0, "final": STEPS}.get(at, at)
        status = "not_reached" if values == "not_reached" else "measured"
        if values is None or (isinstance(values, Mapping) and None in values.values()):
            status = "not_finite"
            if at == "final" and points and points[-1]["status"] == "measured":
                step = points[-1]["step"] + 7
        given = dict(values) if isinstance(values, Mapping) else None
        points.append({"at": at, "step": step, "status": status, "values": given})
    return {
        "format": MEASUREMENT.format,
        "measurement": job.id,
        "run": job.run,
        "run_spec": dict(run_spec),
        "spec": dict(job.spec),
        "data": {"sha256": "da7a", "examples": 1000, "batch_size": 100, "batches": 10},
        "points": points,
        "provenance": {**PROVENANCE, "code": "c0de2", **provenance},
    }


def plane(spec: Mapping[str, Any], steep: float = 30.0, flat: float = 8.0, least: float = 0.05) -> dict[str, Any]:
    """What a measurement of a plane finds where the loss is least + ½ (steep a² + flat b²)."""
    grid = np.linspace(-spec["range"], spec["range"], spec["points"])
    a, b = np.meshgrid(grid, grid)
    loss = least + (steep * a**2 + flat * b**2) / 2
    return {
        "loss_plane": loss.tolist(),
        "accuracy_plane": np.exp(-np.abs(loss)).tolist(),
        "coordinates": grid.tolist(),
        "loss": least,
        "accuracy": math.exp(-abs(least)),
        "cosine": 0.0,
        "eigenvalue_u": steep,
        "bound_u": 0.01,
        "eigenvalue_v": flat,
        "bound_v": 0.02,
    }


def figure(**changes: Any) -> Figure:
    """A figure of one experiment: test accuracy against ρ, nothing on the other axes."""
    return Figure(**{"name": "figure", "experiments": ("experiment",), "x": "rho", **changes})


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
