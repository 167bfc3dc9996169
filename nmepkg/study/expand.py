"""From a study to its runs: every point of every experiment's grid, equal runs once."""

from __future__ import annotations

import itertools
from typing import Any

from nmepkg.registry import METHODS
from nmepkg.study.checks import check_entry
from nmepkg.study.fingerprint import module_hashes
from nmepkg.study.identity import (
    canonical,
    canonical_measurement,
    code_hash,
    data_id,
    data_targets,
    digest,
    figure_targets,
    landscape_id,
    landscape_targets,
    measurement_id,
    measurement_targets,
    modules,
    run_id,
    run_targets,
    to_json,
)
from nmepkg.study.spec import Cell, Expansion, Experiment, Figure, Job, Run, Spec, Study


def expand(study: Study) -> Expansion:
    """Expands every experiment of a checked study, in its order."""
    runs: dict[str, Run] = {}
    datasets: dict[str, Job] = {}
    measurements: dict[str, Job] = {}
    cells: list[Cell] = []
    ids: dict[str, Run] = {}
    for experiment in study.experiments.values():
        complete = {id(entry): _complete("method", entry) for entry in experiment.methods}
        complete |= {id(entry): _complete("activation", entry) for entry in experiment.activations}
        for setup, method, activation, strength, seed in grid(experiment):
            spec = canonical(
                {
                    **study.setups[setup].spec,
                    "method": {**complete[id(method)], "strength": strength},
                    "activation": complete[id(activation)],
                    "seed": seed,
                }
            )
            text = to_json(spec)
            if text not in ids:
                code, data = code_hash(run_targets(spec)), data_id(spec["data"])
                ids[text] = run = Run(run_id(spec, code, data), spec, code, data)
                runs[run.id] = run
                datasets[data] = Job(data, spec["data"], code_hash(data_targets(spec["data"])))
            options = {k: v for k, v in {**method, **activation}.items() if k not in ("name", "label")}
            run = ids[text]
            jobs = {
                name: _measurement(canonical_measurement(study.measurements[name], complete[id(activation)]), run)
                for name in experiment.measurements
            }
            measurements |= {job.id: job for job in jobs.values()}
            measured = {name: job.id for name, job in jobs.items()}
            cells.append(Cell(experiment.name, setup, method, activation, strength, seed, options, run.id, measured))
    landscapes = {
        name: tuple((entry, _landscape(spec)) for entry, spec in panels) for name, panels in study.landscapes.items()
    }
    return Expansion(runs, datasets, tuple(cells), measurements, landscapes)


def figure_digest(study: Study, expansion: Expansion, figure: Figure) -> str:
    """A digest of all that a figure shows besides its runs' results."""
    return digest(figure_parts(study, expansion, figure))


def figure_identity(study: Study, expansion: Expansion, figure: Figure) -> dict[str, Any]:
    """The digest of a figure, the parts that it is of, and the hashes of the modules that draw it."""
    parts = figure_parts(study, expansion, figure)
    return {"digest": digest(parts), "parts": parts, "modules": module_hashes(modules(figure_targets(figure.kind)))}


def figure_parts(study: Study, expansion: Expansion, figure: Figure) -> dict[str, Any]:
    """What makes a figure what it is: the code that draws it, its own spec, titles, and what it is drawn from."""
    cells = expansion.cells_of(figure)
    return {
        "code": code_hash(figure_targets(figure.kind)),
        "figure": {**vars(figure), "experiments": list(figure.experiments), "y": list(figure.y)},
        "titles": {cell.setup: study.setups[cell.setup].title for cell in cells},
        # Of what is measured of a run, only what this figure shows.
        "cells": digest(
            [{**vars(cell), "measurements": cell.measurements.get(figure.measurement or "")} for cell in cells]
        ),
        "landscapes": [[entry, job.id] for entry, job in expansion.landscapes.get(figure.landscape or "", ())],
    }


def _measurement(spec: Spec, run: Run) -> Job:
    code = code_hash(measurement_targets(spec))
    return Job(measurement_id(spec, code, run.id), spec, code, run.id)


def _landscape(spec: Spec) -> Job:
    code = code_hash(landscape_targets(spec))
    return Job(landscape_id(spec, code), spec, code)


def grid(experiment: Experiment) -> itertools.chain[tuple[str, Spec, Spec, float, int]]:
    """Setup, method, activation, strength and seed of every point of an experiment, in the study's order."""

    def strengths(method: Spec) -> tuple[float, ...]:
        kind = METHODS[method["name"]].strength
        return experiment.strengths[kind] if kind else (0.0,)

    return itertools.chain.from_iterable(
        itertools.product([setup], [method], experiment.activations, strengths(method), experiment.seeds)
        for setup in experiment.setups
        for method in experiment.methods
    )


def _complete(kind: str, entry: Spec) -> Spec:
    return check_entry(kind, {key: value for key, value in entry.items() if key != "label"}, "")
