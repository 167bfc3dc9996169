"""Why things would run: what is new about each, and what changed since the nearest one that is finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmepkg.analysis.landscapes import describe
from nmepkg.files import present
from nmepkg.records import Kind
from nmepkg.runs import identity
from nmepkg.runs.compared import compared_measurements, compared_runs, study_comparisons
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.runs.figure_identity import claims_identity, figure_identity, origin_identity, page_identity
from nmepkg.storage import FIGURE, MEASUREMENT, ORIGIN, PAGE, Store
from nmepkg.study.spec import Figure, Study
from nmepkg.upkeep.differences import (
    Change,
    Neighbours,
    changed_data_modules,
    changed_modules,
    changes,
    compared_modules,
    leaves,
)
from nmepkg.upkeep.survey import (
    FINISHED,
    NOT_KEPT,
    State,
    collected,
    damaged_jobs,
    drawn,
    figures_folder,
    jobs_there,
    judged,
    log,
    names,
    paged,
    read_if_whole,
    read_results,
    run_states,
    serving_code,
)


@dataclass(frozen=True)
class Reason:
    """Why something would run.

    Attributes:
      what: ``data``, ``run``, ``measurement``, ``landscape``, ``figure``, ``claims``, ``page``, or ``origin``, for the report.
      kind: ``new`` spec; ``code`` or ``data`` changed; ``failed``, ``stopped``, ``damaged``, ``running``; ``deleted``;
        ``snapshots`` that a measurement asks for and the run has not kept; ``inputs`` run first; ``changed`` figure or study.
      neighbour: the finished one that it is compared with.
      changes: in which places its spec differs.
      modules: which modules changed.
      detail: in words.
    """

    what: str
    id: str
    kind: str
    neighbour: str | None = None
    changes: tuple[Change, ...] = ()
    modules: tuple[str, ...] = ()
    detail: str = ""


def explain(study: Study, expansion: Expansion, store: Store) -> list[Reason]:
    """A reason for everything that Snakemake would run for ``all``, and for damaged results, for which it would refuse to."""
    there = jobs_there(store, expansion)
    states = run_states(store, expansion.runs.values(), snapshots=expansion.snapshots(without=there))
    unfinished = {run: state for run, state in states.items() if state.status not in FINISHED}
    damaged = damaged_jobs(store, expansion, there)
    reasons = list(_data(expansion, store, unfinished))
    if unfinished:
        results = read_results(store)
        neighbours = Neighbours({run: result["spec"] for run, result in results.items()})
        reasons += [_run(study, store, expansion.runs[run], states[run], results, neighbours) for run in unfinished]
    for job in expansion.measurements.values():
        if job.id in damaged:
            reasons.append(Reason("measurement", job.id, "damaged", detail=damaged[job.id]))
        elif job.run in unfinished:
            reasons.append(Reason("measurement", job.id, "inputs", detail=f"its run {job.run} comes first"))
        elif f"{job.id}.json" not in names(store.root / "measurements" / str(job.run)):
            reasons.append(_measurement(store, job))
    there = names(store.root / "landscapes")
    for job in expansion.panels().values():
        if job.id in damaged:
            reasons.append(Reason("landscape", job.id, "damaged", detail=damaged[job.id]))
        elif f"{job.id}.npz" not in there:
            reasons.append(_landscape(store, job, there))
    waiting = {reason.id for reason in reasons}
    for name, figure in study.figures.items():
        ids = [*expansion.runs_of(figure), *expansion.measurements_of(figure)]
        ids += [job.id for _, job in expansion.landscapes.get(figure.landscape or "", ())]
        count = sum(id in waiting for id in ids)
        if count or not drawn(study, expansion, name):
            reasons.append(_figure(study, expansion, figure, count))
    count = sum(id in waiting for id in _compared_ids(study, expansion))
    if count or not judged(study, expansion):
        reasons.append(
            _whole("claims", study, claims_identity(study, expansion), FIGURE, f"{count} runs" if count else "")
        )
    shown = sum(reason.what in ("figure", "claims") for reason in reasons)
    first = f"{shown} figures" if shown else ""
    for what, made, identify, kind in (
        ("page", paged, page_identity, PAGE),
        ("origin", collected, origin_identity, ORIGIN),
    ):
        if shown or not made(study, expansion):
            reasons.append(_whole(what, study, identify(study, expansion), kind, first))
    return reasons


def _data(expansion: Expansion, store: Store, unfinished: Mapping[str, State]) -> Iterator[Reason]:
    needed = {expansion.runs[run].data_id for run in unfinished}
    needed |= {
        expansion.runs[str(job.run)].data_id
        for job in expansion.measurements.values()
        if not present(store.measurement(str(job.run), job.id))
    }
    for id in needed:
        if not all(map(present, store.data_files(id))):
            yield Reason("data", id, "new", detail="not prepared yet, by this code")


def _run(
    study: Study,
    store: Store,
    run: Run,
    state: State,
    results: Mapping[str, Mapping[str, Any]],
    neighbours: Neighbours,
) -> Reason:
    path = log(study, "train", run.id)
    if state.status in ("running", "stopped"):
        where = f"after epoch {state.epoch} of {state.epochs}"
        return Reason("run", run.id, state.status, detail=f"{state.status} {where}, to go on from there; log: {path}")
    if state.status == "missing" and state.problem:
        kind = "snapshots" if state.problem.startswith(NOT_KEPT) else "deleted"
        return Reason("run", run.id, kind, detail=f"{state.problem}, so it is trained again")
    if state.status in ("failed", "damaged"):
        return Reason("run", run.id, state.status, detail=f"{state.problem}; log: {path}")
    nearest = neighbours.nearest(run.spec)
    if nearest is None:
        return Reason("run", run.id, "new", detail="no run in this store is finished")
    there = results[nearest]
    differences = changes(leaves(there["spec"]), leaves(run.spec))
    if differences:
        return Reason("run", run.id, "new", nearest, tuple(differences))
    code = serving_code(there["provenance"])
    if code != run.code:
        modules = changed_modules(store, code, identity.run_targets(run.spec))
        return Reason("run", run.id, "code", nearest, modules=tuple(modules))
    modules = changed_data_modules(store, there["provenance"]["data"], run.spec["data"])
    return Reason("run", run.id, "data", nearest, modules=tuple(modules))


def _measurement(store: Store, job: Job) -> Reason:
    folder = store.root / "measurements" / str(job.run)
    found = [
        read_if_whole(folder / name, MEASUREMENT) for name in sorted(names(folder)) if name.startswith(job.spec["kind"])
    ]
    others = [other for other in found if other]
    return _compared(store, "measurement", job, others, "measurement", identity.measurement_targets(job.spec))


def _landscape(store: Store, job: Job, there: set[str]) -> Reason:
    found = [(name, describe(store.root / "landscapes" / name)) for name in sorted(there) if name.endswith(".npz")]
    others = [{**other, "landscape": name.removesuffix(".npz")} for name, other in found if other]
    return _compared(store, "landscape", job, others, "landscape", identity.landscape_targets(job.spec))


def _compared(
    store: Store, what: str, job: Job, others: Sequence[Mapping[str, Any]], key: str, targets: Sequence[str]
) -> Reason:
    """A job that is compared with finished ones of its kind: the same with other code, or the nearest."""
    nearest = Neighbours({other[key]: other["spec"] for other in others}).nearest(job.spec)
    if nearest is None:
        return Reason(what, job.id, "new", detail="not computed yet")
    there = next(other for other in others if other[key] == nearest)
    differences = changes(leaves(there["spec"]), leaves(job.spec))
    if differences:
        return Reason(what, job.id, "new", nearest, tuple(differences))
    modules = changed_modules(store, serving_code(there["provenance"]), targets)
    return Reason(what, job.id, "code", nearest, modules=tuple(modules))


def _figure(study: Study, expansion: Expansion, figure: Figure, waiting: int) -> Reason:
    if waiting:
        return Reason("figure", figure.name, "inputs", detail=f"{waiting} of what it shows come first")
    folder = figures_folder(study)
    now = figure_identity(study, expansion, figure)
    before = _record(study, figure.name, FIGURE)
    if before is None:
        return Reason("figure", figure.name, "new", detail="not drawn yet")
    if before["digest"] == now["digest"]:
        return Reason("figure", figure.name, "deleted", detail=f"files are missing in {folder}")
    modules = (
        compared_modules(before["modules"], now["modules"]) if before["parts"]["code"] != now["parts"]["code"] else []
    )
    differences = changes(leaves(before["parts"]["figure"]), leaves(now["parts"]["figure"]))
    differences += changes(before["parts"]["titles"], now["parts"]["titles"])
    other = [part for part in ("cells", "landscapes") if before["parts"][part] != now["parts"][part]]
    detail = "other runs, or runs called by other names, are behind it" if other else ""
    return Reason("figure", figure.name, "changed", None, tuple(differences), tuple(modules), detail)


def _compared_ids(study: Study, expansion: Expansion) -> list[str]:
    found = study_comparisons(study, expansion)
    of_landscapes = [study.figures[claim.figure].landscape or "" for claim in study.claims.values()]
    panels = [job.id for name in dict.fromkeys(of_landscapes) for _, job in expansion.landscapes.get(name, ())]
    return [*compared_runs(found), *compared_measurements(study, found), *panels]


def _whole(what: str, study: Study, now: Mapping[str, Any], kind: Kind, first: str) -> Reason:
    """Why what is of the whole study is made again: its claims, its page, or where its figures come from.

    Args:
      first: what comes before it, if anything does.
    """
    if first:
        return Reason(what, study.name, "inputs", detail=f"{first} come first")
    before = _record(study, what, kind)
    if before is None:
        return Reason(what, study.name, "new", detail="not made yet of the figures as they are")
    if before["digest"] == now["digest"]:
        return Reason(what, study.name, "deleted", detail=f"files are missing in {figures_folder(study)}")
    differing = [part for part in now["parts"] if now["parts"][part] != before["parts"][part]]
    return Reason(what, study.name, "changed", detail=f"changed since it was made: {', '.join(differing)}")


def _record(study: Study, name: str, kind: Kind) -> dict[str, Any] | None:
    """The record of a figure as it was drawn last."""
    paths = sorted((figures_folder(study) / "records" / name).glob("*.json"))
    return next(filter(None, (read_if_whole(path, kind) for path in reversed(paths))), None)
