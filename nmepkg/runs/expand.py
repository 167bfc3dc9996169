"""From a study to its runs: every point of every experiment's grid, equal runs once."""

from __future__ import annotations

from nmepkg.records import to_json
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.runs.identity import (
    code_hash,
    data_id,
    data_targets,
    landscape_id,
    landscape_targets,
    measurement_id,
    measurement_targets,
    run_id,
    run_targets,
)
from nmepkg.study.canonical import canonical, canonical_measurement
from nmepkg.study.checks import check_entry
from nmepkg.study.grid import grid
from nmepkg.study.setups import counts, points
from nmepkg.study.spec import Cell, Spec, Study


def expand(study: Study) -> Expansion:
    """Expands every experiment of a checked study, in its order."""
    runs: dict[str, Run] = {}
    datasets: dict[str, Job] = {}
    measurements: dict[str, Job] = {}
    cells: list[Cell] = []
    ids: dict[str, Run] = {}
    steps = {name: counts(setup.spec).steps for name, setup in study.setups.items()}
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
            asked = {name: study.measurements[name] for name in experiment.measurements}
            jobs = {
                name: _measurement(
                    canonical_measurement({**asks, "at": points(asks["at"], steps[setup])}, complete[id(activation)]),
                    run,
                )
                for name, asks in asked.items()
            }
            measurements |= {job.id: job for job in jobs.values()}
            measured = {name: job.id for name, job in jobs.items()}
            cells.append(Cell(experiment.name, setup, method, activation, strength, seed, options, run.id, measured))
    landscapes = {
        name: tuple((entry, _landscape(spec)) for entry, spec in panels) for name, panels in study.landscapes.items()
    }
    return Expansion(runs, datasets, tuple(cells), measurements, landscapes)


def _measurement(spec: Spec, run: Run) -> Job:
    code = code_hash(measurement_targets(spec))
    return Job(measurement_id(spec, code, run.id), spec, code, run.id)


def _landscape(spec: Spec) -> Job:
    code = code_hash(landscape_targets(spec))
    return Job(landscape_id(spec, code), spec, code)


def _complete(kind: str, entry: Spec) -> Spec:
    return check_entry(kind, {key: value for key, value in entry.items() if key != "label"}, "")
