"""The state of everything that a study asks for, read from its store."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.records import DamagedError, Kind
from nmepkg.storage import FIGURE, RESULT, Store, figure_record
from nmepkg.study.expand import figure_digest
from nmepkg.study.spec import Expansion, Run, Study

FINISHED = ("done", "diverged")
STATUSES = (*FINISHED, "running", "stopped", "failed", "damaged", "missing")


@dataclass(frozen=True)
class State:
    """How far a run is.

    Attributes:
      status: ``done`` or ``diverged`` with a result; ``running``; ``stopped``, to go on from a checkpoint; ``failed``;
        ``damaged``, which has to be deleted before it can be trained again; ``missing``.
      seconds: that its training took so far.
      left: seconds that a running training still expects to take, where it knows.
      epoch, epochs: done, and of the whole training.
      problem: of a failed or damaged one.
      provenance: of a result.
    """

    status: str
    seconds: float = 0.0
    left: float | None = None
    epoch: int = 0
    epochs: int = 0
    problem: str = ""
    provenance: Mapping[str, Any] | None = None


def run_states(store: Store, runs: Iterable[Run]) -> dict[str, State]:
    """The state of each run, by id."""
    there = names(store.root / "runs")
    return {run.id: _run_state(store, run) if run.id in there else State("missing") for run in runs}


def _run_state(store: Store, run: Run) -> State:
    try:
        result = records.read(store.result(run.id), RESULT, {"run": run.id, "spec": run.spec})
    except DamagedError as problem:
        if store.result(run.id).exists():
            return State("damaged", problem=str(problem))
        return _unfinished(store.run(run.id))
    provenance = result["provenance"]
    status = "done" if result["status"] == "completed" else "diverged"
    epochs = run.spec["training"]["epochs"]
    return State(status, provenance["wall_seconds"], epoch=epochs, epochs=epochs, provenance=provenance)


def _unfinished(folder: Path) -> State:
    try:
        noted = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return State("running" if is_locked(folder) else "missing")
    status = noted["status"]
    if status == "running" and not is_locked(folder):
        status = "stopped"  # it was killed and could not say so
    left = noted["left_seconds"] if status == "running" else None
    return State(status, noted["seconds"], left, noted["epoch"], noted["epochs"], noted["error"] or "")


def is_locked(folder: Path) -> bool:
    """Whether a process is training the run of a folder."""
    try:
        with (folder / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def names(folder: Path) -> set[str]:
    """What is in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except FileNotFoundError:
        return set()


def read_if_whole(path: Path, kind: Kind) -> dict[str, Any] | None:
    """A record; None where there is none, or one that is damaged or of another version of its format."""
    try:
        return records.read(path, kind, {})
    except DamagedError:
        return None


def read_results(store: Store) -> dict[str, dict[str, Any]]:
    """Every result in a store that is whole: id -> content."""
    found = {run: read_if_whole(store.result(run), RESULT) for run in sorted(names(store.root / "runs"))}
    return {run: result for run, result in found.items() if result is not None}


def serving_code(provenance: Mapping[str, Any]) -> str:
    """The hash of the code whose results these are: that which computed them, or the last that they were adopted for."""
    adopted = provenance.get("adopted", ())
    return adopted[-1]["code"] if adopted else provenance["code"]


def log(study: Study, rule: str, name: str) -> Path:
    """Where Snakemake puts the log of a job."""
    return Path(study.output, "logs", rule, f"{name}.log")


def figures_folder(study: Study) -> Path:
    """Where a study's figures go."""
    return Path(study.output, "figures", study.name)


def drawn(study: Study, expansion: Expansion, name: str) -> bool:
    """Whether a figure's files are there, of all that it shows now and by the code that draws it now."""
    folder = figures_folder(study)
    record = read_if_whole(figure_record(folder, name, figure_digest(study, expansion, study.figures[name])), FIGURE)
    return record is not None and record["files"].keys() <= names(folder)
