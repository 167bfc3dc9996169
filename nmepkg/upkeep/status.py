"""How far a study is: its figures, what is running, what failed, and the device time spent and to go."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

from nmepkg.records import to_json
from nmepkg.registry import METHODS
from nmepkg.runs.expansion import Expansion, Run
from nmepkg.storage import Store
from nmepkg.study.setups import classes, data_shape
from nmepkg.study.sizes import parameters
from nmepkg.study.spec import Setup, Spec, Study
from nmepkg.upkeep.pins import moved
from nmepkg.upkeep.survey import (
    FINISHED,
    STATUSES,
    Seen,
    State,
    damaged_jobs,
    drawn,
    failed_jobs,
    jobs_there,
    log,
    run_states,
)


def status(study: Study, expansion: Expansion, store: Store, seen: Seen | None = None) -> dict[str, Any]:
    """The state of a study, JSON-able.

    Args:
      seen: what earlier looks found, which need not be read again; this one adds to it.

    Returns:
      ``figures``: by name, how many of its runs, measurements and landscapes there are and whether it is drawn; ``runs`` of the
      whole study, counts by status, ``measurements`` and ``landscapes``; ``running``, ``stopped``, ``failed`` and ``damaged``
      runs, of the last two measurements and landscapes too, and figures that failed; ``again``: finished runs that are trained
      again as something of them is not there; ``device_hours``: ``spent`` on what is
      there and ``to_go``, by the time of finished runs that are alike, leaving ``unknown`` runs out; ``estimates``: by setup,
      of those of the unknown whose setup has ``device_hours``, how many and how long they take on which device; ``disk``: the
      ``bytes`` of parameters that trainings will still write, at their end and as ``snapshots`` on the way, but for
      ``unknown_runs`` of models that are not counted; ``moved``: a line for each figure whose numbers are not those that the
      study pins.
    """
    files = jobs_there(store, expansion)
    states = run_states(store, expansion.runs.values(), seen, expansion.snapshots(without=files))
    damaged = damaged_jobs(store, expansion, files, seen)
    there = files - damaged.keys()
    figures = {}
    for name, figure in study.figures.items():
        counts = Counter(states[run].status for run in expansion.runs_of(figure))
        figures[name] = {
            "title": figure.title,
            "runs": {status: counts[status] for status in STATUSES},
            "measurements": _counted(expansion.measurements_of(figure), there),
            "landscapes": _counted([job.id for _, job in expansion.landscapes.get(figure.landscape or "", ())], there),
            "drawn": drawn(study, expansion, name, seen),
        }
    spent, to_go, unknown = device_seconds(states, expansion.runs)
    estimates = _estimates(study, expansion, unknown)
    without = len(unknown) - sum(estimate["runs"] for estimate in estimates.values())
    counts = Counter(state.status for state in states.values())
    described = {
        status: [_described(study, run, state) for run, state in states.items() if state.status == status]
        for status in ("running", "stopped", "failed", "damaged")
    }
    described["again"] = [
        _described(study, run, state) for run, state in states.items() if state.status == "missing" and state.problem
    ]
    for id, problem in damaged.items():
        described["damaged"].append({_kind(study, expansion, id): id, "problem": problem})
    done = {*files, *(name for name, figure in figures.items() if figure["drawn"])}
    for id, (problem, path) in failed_jobs(study, expansion, done).items():
        described["failed"].append({_kind(study, expansion, id): id, "problem": problem, "log": str(path)})
    return {
        "study": study.name,
        "file": str(study.path),
        "store": str(store.root),
        "figures": figures,
        "runs": {status: counts[status] for status in STATUSES},
        "measurements": _counted(expansion.measurements, there),
        "landscapes": _counted(expansion.panels(), there),
        **described,
        "device_hours": {"spent": spent / 3600, "to_go": to_go / 3600, "unknown_runs": without},
        "estimates": estimates,
        "disk": _disk(expansion, [run for run, state in states.items() if state.status not in FINISHED]),
        "moved": moved(study, expansion),
    }


def _kind(study: Study, expansion: Expansion, id: str) -> str:
    return "figure" if id in study.figures else "measurement" if id in expansion.measurements else "landscape"


def _counted(ids: Collection[str], there: set[str]) -> dict[str, int]:
    return {"done": len(there.intersection(ids)), "of": len(ids)}


def _estimates(study: Study, expansion: Expansion, unknown: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Runs like none that is finished, by what their setup says of one training by SGD and by what a step of a method costs."""
    setups = {run: study.setups[setup] for run, setup in expansion.setup_of().items()}
    found: dict[str, dict[str, Any]] = {}
    for run in unknown:
        setup, method = setups[run], expansion.runs[run].spec["method"]
        if setup.device_hours is not None:
            estimate = found.setdefault(setup.name, {"runs": 0, "device_hours": 0.0, "device": setup.device})
            estimate["runs"] += 1
            estimate["device_hours"] += device_hours(setup, method)
    return found


def _disk(expansion: Expansion, runs: Sequence[str]) -> dict[str, int]:
    """What these runs will write: single-precision parameters, each time that they are kept."""
    snapshots, found = expansion.snapshots(), Counter(bytes=0, snapshots=0, unknown_runs=0)
    for run in runs:
        spec, kept = expansion.runs[run].spec, len(snapshots.get(run, ()))
        count = parameters(spec["model"], data_shape(spec["data"]), classes(spec["data"]))
        found.update(bytes=4 * (count or 0) * (1 + kept), snapshots=kept, unknown_runs=count is None)
    return dict(found)


def device_hours(setup: Setup, method: Spec) -> float:
    """Of one training, by what its setup, which says it, says of one by SGD and by what a step of the method costs."""
    assert setup.device_hours is not None
    data = setup.spec["data"]
    held = parameters(setup.spec["model"], data_shape(data), classes(data))
    return setup.device_hours * METHODS[method["name"]].step_cost(method, held)


def _described(study: Study, run: str, state: State) -> dict[str, Any]:
    return {
        "run": run,
        "epoch": state.epoch,
        "epochs": state.epochs,
        "left_seconds": state.left,
        "problem": state.problem,
        "log": str(log(study, "train", run)),
    }


def device_seconds(states: Mapping[str, State], runs: Mapping[str, Run]) -> tuple[float, float, list[str]]:
    """(spent, to go, ids of runs whose time is unknown).

    A run is expected to take as long as the median of the finished runs that are most like it: of the same training with the
    same method and activation; with the same method; of the same training; else of the same model and data, by the epoch.
    """
    known: dict[Hashable, list[float]] = defaultdict(list)
    for id, state in states.items():
        if state.status == "done":
            epochs = runs[id].spec["training"]["epochs"]
            for key, per_epoch in _likeness(runs[id].spec):
                known[key].append(state.seconds / (epochs if per_epoch else 1))
    medians = {key: statistics.median(seconds) for key, seconds in known.items()}
    to_go, unknown = 0.0, []
    for id, state in states.items():
        if state.status in FINISHED:
            continue
        expected = _expected(runs[id].spec, medians)
        if state.left is not None:
            to_go += state.left
        elif expected is None:
            unknown.append(id)
        else:
            to_go += max(0.0, expected - (state.seconds if state.status in ("running", "stopped") else 0.0))
    return sum(state.seconds for state in states.values()), to_go, unknown


def _expected(spec: Spec, medians: Mapping[Hashable, float]) -> float | None:
    for key, per_epoch in _likeness(spec):
        if key in medians:
            return medians[key] * (spec["training"]["epochs"] if per_epoch else 1)
    return None


def _likeness(spec: Spec) -> Iterator[tuple[Hashable, bool]]:
    """What runs that take about as long have in common, the most alike first; and whether only an epoch compares."""
    method = to_json({key: value for key, value in spec["method"].items() if key != "strength"})
    data = [spec["data"], spec["subset"], spec["model"]]
    training = to_json([data, spec["augmentation"], spec["training"]])
    yield (training, method, spec["activation"]["name"]), False
    yield (training, method), False
    yield (training,), False
    yield (to_json(data), "epoch"), True
