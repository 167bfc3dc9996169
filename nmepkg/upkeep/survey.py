"""The state of everything that a study asks for, read from its store."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.errors import FAILED
from nmepkg.files import present
from nmepkg.records import DamagedError, Kind
from nmepkg.runs.expansion import Expansion, Run
from nmepkg.runs.figure_identity import claims_identity, figure_digest, origin_identity, page_identity
from nmepkg.storage import FIGURE, MEASUREMENT, ORIGIN, PAGE, RESULT, STATE, Store, figure_record, lost
from nmepkg.study.spec import Study

_TOLD = 10
NOT_KEPT = "it kept no parameters of step"  # as the problem of a run begins that lacks what a measurement asks for
_LAST = 10_000  # bytes of a log that surely hold its last line
FINISHED = ("done", "diverged")
STATUSES = (*FINISHED, "running", "stopped", "failed", "damaged", "missing")


@dataclass(frozen=True)
class State:
    """How far a run is.

    Attributes:
      status: ``done`` or ``diverged`` with a result; ``running``; ``stopped``, to go on from a checkpoint; ``failed``;
        ``damaged``, which has to be deleted before it can be trained again; ``missing``, or with a ``problem`` not all there.
      seconds: of a device, that its training took so far.
      left: seconds that a running training still expects to take, where it knows.
      epoch, epochs: done, and of the whole training.
      problem: of one that failed, is damaged, or has lost a file.
      provenance: of a result.
    """

    status: str
    seconds: float = 0.0
    left: float | None = None
    epoch: int = 0
    epochs: int = 0
    problem: str = ""
    provenance: Mapping[str, Any] | None = None


@dataclass
class Seen:
    """What looks at a study found that will be so at the next one, unless it is deleted: who looks again need not read it.

    Attributes:
      runs: id -> the state of a run that is finished.
      jobs: ids of measurements and landscapes that are there and whole.
      digests: name -> digest of a figure.
    """

    runs: dict[str, State] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)


def run_states(
    store: Store, runs: Iterable[Run], seen: Seen | None = None, snapshots: Mapping[str, Collection[int]] | None = None
) -> dict[str, State]:
    """The state of each run, by id.

    Args:
      snapshots: run id -> the steps after which its parameters are asked for; None: of no run any.
    """
    there, known = names(store.root / "runs"), {} if seen is None else seen.runs
    states = {}
    for run in runs:
        if run.id not in there:
            states[run.id] = State("missing")
        else:
            asked = () if snapshots is None else snapshots.get(run.id, ())
            states[run.id] = known[run.id] if run.id in known else _run_state(store, run, asked)
    known.update({id: state for id, state in states.items() if state.status in FINISHED})
    return states


def device_time(provenance: Mapping[str, Any]) -> float:
    """Seconds of a device that a training took: of those beside others, its share."""
    return float(provenance["wall_seconds"]) / provenance.get("at_once", 1)


def _run_state(store: Store, run: Run, snapshots: Collection[int]) -> State:
    try:
        result = records.read(store.result(run.id), RESULT, {"run": run.id, "spec": run.spec})
    except DamagedError as problem:
        if present(store.result(run.id)):
            return State("damaged", problem=str(problem))
        return _unfinished(store, run.id)
    try:
        missing = lost(store.run(run.id), result, snapshots)
    except DamagedError as problem:
        return State("damaged", problem=str(problem))
    if missing:
        was_there = missing[0].relative_to(store.run(run.id)).as_posix() in result["files"]
        return State("missing", problem=f"{missing[0]} is gone" if was_there else f"{NOT_KEPT} {missing[0].stem}")
    provenance = result["provenance"]
    status = "done" if result["status"] == "completed" else "diverged"
    epochs = run.spec["training"]["epochs"]
    return State(status, device_time(provenance), epoch=epochs, epochs=epochs, provenance=provenance)


def _unfinished(store: Store, run: str) -> State:
    folder = store.run(run)
    try:
        noted = records.read(store.state(run), STATE, {"run": run})
    except (DamagedError, PermissionError):
        return State("running" if is_locked(folder) else "missing")
    status = noted["status"]
    if status == "running" and not is_locked(folder):
        status = "stopped"  # it was killed and could not say so
    left = noted["left_seconds"] if status == "running" else None
    return State(status, noted["seconds"], left, noted["epoch"], noted["epochs"], noted["error"] or "")


def next_memory(store: Store, run: str, least: float) -> float:
    """Megabytes for the next try of a training: what the last one was given, and half as much again if that was killed.

    A scheduler kills what takes more memory than it was given. One that ran out of time, or was asked to stop, wrote a
    checkpoint and said so.

    Args:
      least: what its setup asks for.
    """
    try:
        noted = records.read(store.state(run), STATE, {"run": run})
    except (DamagedError, PermissionError):
        return least
    last = max(least, noted["memory_mb"] or 0)
    return 1.5 * last if noted["status"] == "running" and not is_locked(store.run(run)) else last


def damaged_jobs(
    store: Store, expansion: Expansion, there: Collection[str], seen: Seen | None = None
) -> dict[str, str]:
    """Measurements and landscapes that are there and are not what they should be: id -> one line with the remedy.

    Args:
      there: ids of those whose file is there, :func:`jobs_there`.
    """
    found = {}
    known = set() if seen is None else seen.jobs
    for job in expansion.measurements.values():
        if job.id in there and job.id not in known:
            path = store.measurement(str(job.run), job.id)
            try:
                records.read(path, MEASUREMENT, {"measurement": job.id, "run": job.run})
            except DamagedError as problem:
                found[job.id] = str(problem)
    for job in expansion.panels().values():
        if job.id in there and job.id not in known:
            from nmepkg.analysis.landscapes import read_landscape  # NumPy, which planning does without otherwise

            try:
                read_landscape(store.landscape(job.id), job.spec)
            except DamagedError as problem:
                found[job.id] = str(problem)
    known |= set(there) - found.keys()
    return found


def jobs_there(store: Store, expansion: Expansion) -> set[str]:
    """Ids of the measurements and landscapes whose file is there."""
    there = names(store.root / "landscapes")
    measured = names(store.root / "measurements")
    for run in {str(job.run) for job in expansion.measurements.values()} & measured:
        there |= names(store.root / "measurements" / run)
    return {Path(name).stem for name in there} & {*expansion.measurements, *expansion.panels()}


def failed_jobs(study: Study, expansion: Expansion, there: Collection[str]) -> dict[str, tuple[str, Path]]:
    """Measurements, landscapes and figures that are not there because the last job on them failed.

    Args:
      there: ids and names of those that are there.

    Returns:
      Id, or name of a figure -> what the job said, and its log.
    """
    logs = {id: log(study, "measure", f"{job.run}/{id}") for id, job in expansion.measurements.items()}
    logs |= {id: log(study, "landscape", id) for id in expansion.panels()}
    logs |= {name: log(study, "figure", f"{study.name}/{name}") for name in study.figures}
    failures = {id: problem for id, path in logs.items() if id not in there and (problem := last_failure(path))}
    return {id: (problem.removeprefix(f"{id}: "), logs[id]) for id, problem in failures.items()}


def last_failure(path: Path) -> str:
    """What the last line of a log says failed; nothing where it says no such thing, as while the job runs."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST))
            last = file.read().decode(errors="replace").rstrip("\n").rpartition("\n")[2]
    except OSError:
        return ""
    return last.removeprefix(FAILED) if last.startswith(FAILED) else ""


def damage(store: Store, expansion: Expansion) -> list[str]:
    """A line with the remedy for each result of a study that is damaged. The first ten; the rest is counted."""
    states = run_states(store, expansion.runs.values()).values()
    lines = [state.problem for state in states if state.status == "damaged"]
    lines += damaged_jobs(store, expansion, jobs_there(store, expansion)).values()
    more = len(lines) - _TOLD
    return lines if more <= 0 else [*lines[:_TOLD], f"and {more} more: python -m nmepkg status --json"]


def is_locked(folder: Path) -> bool:
    """Whether a process is training the run of a folder."""
    return is_held(folder / ".lock")


def is_held(lock: Path) -> bool:
    """Whether a process holds the lock of a file."""
    try:
        with lock.open("rb") as file:
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
    """A record; None where there is none, or one that is damaged, of another version of its format, or closed to this user."""
    try:
        return records.read(path, kind, {})
    except (DamagedError, PermissionError):
        return None


def read_results(store: Store) -> dict[str, dict[str, Any]]:
    """Every result in a store that is whole, with all files that it should have: id -> content."""
    found = {run: read_if_whole(store.result(run), RESULT) for run in sorted(names(store.root / "runs"))}
    return {run: result for run, result in found.items() if result and _whole(store.run(run), result)}


def _whole(folder: Path, result: Mapping[str, Any]) -> bool:
    try:
        return not lost(folder, result)
    except DamagedError:
        return False


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


def drawn(study: Study, expansion: Expansion, name: str, seen: Seen | None = None) -> bool:
    """Whether a figure's files are there, of all that it shows now and by the code that draws it now."""
    digests = {} if seen is None else seen.digests
    if name not in digests:
        digests[name] = figure_digest(study, expansion, study.figures[name])
    return _there(study, name, digests[name], FIGURE)


def paged(study: Study, expansion: Expansion) -> bool:
    """Whether the page of a study's figures is there, of all that it shows now."""
    return _there(study, "page", page_identity(study, expansion)["digest"], PAGE)


def collected(study: Study, expansion: Expansion) -> bool:
    """Whether the files of where figures come from are there, of all that they speak of now."""
    return _there(study, "origin", origin_identity(study, expansion)["digest"], ORIGIN)


def judged(study: Study, expansion: Expansion) -> bool:
    """Whether a study's verdicts are there, of all its claims as they are now; also where it has none."""
    if not study.claims:
        return True
    return present(verdicts(study)) and _there(study, "claims", claims_identity(study, expansion)["digest"], FIGURE)


def verdicts(study: Study) -> Path:
    """Where the table of a study's verdicts goes."""
    return Path(study.output, "claims", f"{study.name}.csv")


def _there(study: Study, name: str, digest: str, kind: Kind) -> bool:
    folder = figures_folder(study)
    record = read_if_whole(figure_record(folder, name, digest), kind)
    return record is not None and record["files"].keys() <= names(folder)
