"""What is refused, said and written down: when the Snakefile is read, before the first job, and at the end."""

from __future__ import annotations

import atexit
import gc
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.files import present
from nmepkg.planning.call import Call, Needed
from nmepkg.planning.data import missing, wanted
from nmepkg.planning.environment import (
    check_folder,
    check_name,
    check_start,
    check_store,
    check_versions,
    check_writable,
    working_alone,
)
from nmepkg.planning.models import refuse_too_large
from nmepkg.planning.plan import Plan
from nmepkg.planning.resources import estimates
from nmepkg.planning.shell import check_jax_starts, check_shell
from nmepkg.planning.site import refuse_too_few_tries, refuse_too_long
from nmepkg.runs import jobs
from nmepkg.runs.jobs import Assignment
from nmepkg.runs.looks import declare
from nmepkg.study.lists import read_lists
from nmepkg.study.load import load
from nmepkg.study.overrides import from_config
from nmepkg.upkeep import verdicts
from nmepkg.upkeep.monitor import Looks, Progress, what_failed
from nmepkg.upkeep.pins import moved
from nmepkg.upkeep.registration import register
from nmepkg.upkeep.status import status
from nmepkg.upkeep.survey import damage
from nmepkg.upkeep.terminal import job_name

_MEASURING = ("measure", "measure_together")
_COUNTED = {
    **dict.fromkeys(("train", "train_again", "trained"), "run to train"),
    **dict.fromkeys(("measure", "measured"), "measurement to take"),
    "landscape": "landscape to compute",
    "draw": "figure to draw",
}
_COMPUTING = ("train", "train_again", "train_together", *_MEASURING, "landscape")


def plan(call: Call) -> Plan:
    """The plan of the study that a call names, or the end of the call, in a line that says why.

    Errors that can be known now are reported before Snakemake prints anything; those that depend on the jobs, by
    :func:`before_jobs`.
    """
    # Snakemake makes a great many objects for a great many jobs, and Python would look again and again for garbage among them.
    gc.set_threshold(100_000, 50, 50)
    with call.refusing():
        file, overrides = _study(call)
        check_versions()
        if call.is_main:
            check_shell()
        found = Plan(load(file, overrides), overrides, dry=call.is_dry)
        if call.is_main:
            _check(call, found)
            call.be_brief(found.target)
            call.attach(
                start=lambda: before_jobs(call, found),
                success=lambda: after_success(call, found),
                error=lambda: after_failure(call, found),
            )
        return found


def _study(call: Call) -> tuple[Path, dict[str, object]]:
    """The file of the study, and what the call changes of it.

    This package reads it: Snakemake's ``configfile:`` would merge the default study into the one asked for. A profile may name
    one by ``configfile``, and the command line another by either way.
    """
    options = dict(call.options)
    files = [options.pop("study")] if "study" in options else call.files
    overrides = from_config(options)
    if len(files) > 1 or options or not all(isinstance(file, str | Path) for file in files):
        raise UserError(
            "a workflow has one study (--config study=FILE, or --configfile FILE), and besides no options but smoke=true, "
            "select='[a, b]' and store=FOLDER"
        )
    # The default one is this workflow's own, wherever that is called; another is where the caller says.
    file = Path(files[0]) if files else call.folder / "config" / "config.yaml"
    return (file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file), overrides


def _check(call: Call, plan: Plan) -> None:
    study, store, expansion = plan.study, plan.store, plan.expansion
    check_folder(f"{study.path}: output", Path(study.output))
    check_start(plan.lock, dry=call.is_dry)
    check_name(study)
    check_store(study, expansion)
    # Never used, and never replaced unseen: to Snakemake they are there.
    damaged = damage(store, expansion)
    if damaged and not call.is_dry:
        raise UserError(*damaged)
    # With no result yet, every target has jobs, and each writes a log.
    fresh = not any(map(present, plan.results()))
    if fresh and not call.is_dry:
        check_writable(f"{study.path}: store", plan.results())
        check_writable(f"{study.path}: output", [Path(plan.logs, "train", f"{run}.log") for run in expansion.runs])
    shutil.rmtree(plan.marks, ignore_errors=True)
    plan.look()
    # What is asked for is not known yet; where no target can do without, it does not matter. Else it is said before the jobs.
    lacking = list(missing(study, expansion, store, wanted(expansion, store)))
    needed = {job.spec["name"] for job in expansion.datasets.values()}
    if len(lacking) == len(needed) and fresh and not plan.landscapes and not call.is_dry:
        raise UserError(*lacking)
    for line in [*damaged, *(lacking if call.is_dry else ()), *read_lists(study, doubtful=not call.is_dry)]:
        call.warn(line)
    call.guard(
        store.root,
        Path(plan.figures),
        study.path,
        targets=["figures", "measurements", "report", "all", *plan.shown],
    )


def before_jobs(call: Call, plan: Plan) -> None:
    """Checks what the jobs of this call need, and leaves word for each of what it is to do.

    A dry run, or one with nothing to do, never comes here: it asks for nothing and leaves nothing.
    """
    study, store = plan.study, plan.store
    if plan.started:  # the user of a module may call its handlers too
        return
    plan.started = True
    with call.refusing():
        _work_alone(plan)
        needed = call.needed()
        data = dict.fromkeys(id for job in needed for id in _data(plan, job))
        lacking = list(missing(study, plan.expansion, store, data))
        if lacking:
            raise UserError(*lacking)
        written = [file for job in needed for file in job.files]
        check_writable(f"{study.path}: store", [path for path in written if path.is_relative_to(store.root)])
        check_writable(f"{study.path}: output", [path for path in written if not path.is_relative_to(store.root)])
        if call.executor == "slurm":
            asked = [(job.minutes, job.rule) for job in needed if job.minutes is not None]
            refuse_too_long({rule: most for most, rule in sorted(asked)})
            runs = {run for job in needed if job.rule.startswith("train") for run in _runs(plan, job)}
            refuse_too_few_tries(estimates(plan, runs), call.tries)
        if any(job.rule in _COMPUTING for job in needed):
            check_jax_starts(here=call.executor == "local")
        assigned = _assigned(plan, needed)
        refuse_too_large(
            plan, [job.id for (rule, _), one in assigned.items() if rule in _MEASURING for job in one.jobs]
        )
        plan.judges = any(job.rule == "judge" for job in needed)
        if plan.judges:
            with suppress(OSError):  # a store to be read alone has all the runs already
                declare(store, study, plan.expansion)
        for (rule, name), assignment in assigned.items():
            jobs.write(Path(plan.file(rule, name)), assignment)
        call.note_interruption()
        call.say(_begun(plan, needed))
        looks, before = Looks(study, plan.expansion, store), set[str]()
        with suppress(UserError, OSError):  # jobs will say what is wrong with the store
            before = {job_name(job) for job in looks.look()["failed"]}
        Progress(looks, call.say, lambda job: _tell_failure(call, plan, job, before)).start()
    try:
        register(study, plan.expansion)
    except OSError as error:
        call.warn(f"{study.path}: the store does not know that it is used here, nor will who tidies up there ({error})")


def _begun(plan: Plan, needed: list[Needed]) -> str:
    """What this call is going to do, and that it may be stopped."""
    counts = Counter(_COUNTED.get(job.rule) for job in needed)
    parts = [
        f"{counts[what]} {what if counts[what] == 1 else what.replace(' ', 's ', 1)}"
        for what in dict.fromkeys(_COUNTED.values())
        if counts[what]
    ]
    return (
        f"{plan.study.name} ({plan.study.path}): {', '.join(parts) or 'nothing to train'}\n"
        "Stop it by Ctrl-C whenever you like: the same command goes on from there."
    )


def _tell_failure(call: Call, plan: Plan, job: Mapping[str, Any], before: set[str]) -> None:
    """Says what failed in this call: Snakemake learns late of what was done together.

    Args:
      before: what had failed when it began, and is tried again.
    """
    rules = {"run": "trained", "measurement": "measured", "landscape": "landscape", "figure": "draw"}
    rule = next(rule for what, rule in rules.items() if what in job)
    if (name := job_name(job)) not in before:
        call.tell_failure(
            name, job["problem"], job["log"], plan.target(rule, [str(plan.store.landscape(name))], [job["log"]])
        )


def _work_alone(plan: Plan) -> None:
    """Holds the lock of the study's workflow for as long as this process lives."""
    held = ExitStack()
    held.enter_context(working_alone(plan.lock))
    atexit.register(held.close)


def _assigned(plan: Plan, needed: list[Needed]) -> dict[tuple[str, str], Assignment]:
    """(rule, name of its file) -> what jobs do. Of what is done together, that which was asked for; where nothing was, all."""
    names = {"train": "run", "train_together": "pack", "measure": "measurement", "measure_together": "pack"}
    asked = {job.wildcards["run"] for job in needed if job.rule == "trained"}
    asked |= {job.wildcards["measurement"] for job in needed if job.rule == "measured"}
    found = {}
    for job in needed:
        rule = {"train_again": "train"}.get(job.rule, job.rule)
        if rule in ("trained", "measured", "draw", "judge", "page", "origin"):
            continue
        name = job.wildcards[names.get(rule, rule)]
        found[rule, name] = assignment = plan.assignment(rule, name, asked)
        if rule.endswith("together") and asked.isdisjoint(one.id for one in assignment.jobs):
            plan.unasked.add(name)
    return found


def _data(plan: Plan, job: Needed) -> list[str]:
    """Ids of the data sets that a job makes or reads."""
    if job.rule == "data":
        return [job.wildcards["data"]]
    return [plan.run(run).data_id for run in _runs(plan, job)]


def _runs(plan: Plan, job: Needed) -> list[str]:
    """The runs that a job trains or measures."""
    if job.rule == "measure_together":
        return [str(one.run) for one in plan.measurements_of_pack(job.wildcards["pack"])]
    if job.rule == "train_together":
        return plan.runs_of_pack(job.wildcards["pack"])
    return [job.wildcards["run"]] if "run" in job.wildcards and job.rule not in ("trained", "measured") else []


def after_success(call: Call, plan: Plan) -> None:
    """Says the verdicts, if claims were judged, which pinned numbers moved, and where figures are.

    It fails the call where what was done together lacks something: the rules that say so may be left out by ``--until``.
    """
    runs = [run for pack in plan.unasked & plan.packs.keys() for run in plan.packs[pack].runs]
    taken = [job for pack in plan.unasked & plan.measured_together.keys() for job in plan.measured_together[pack]]
    lost = {
        "runs": [
            f"{plan.logs}/train/{run.id}.log"
            for run in runs
            if not plan.store.finished(run.id, plan.snapshots.get(run.id, ()))
        ],
        "measurements": [
            str(plan.measured_log(str(job.run), job.id))
            for job in taken
            if not present(plan.store.measurement(str(job.run), job.id))
        ],
    }
    for what, logs in lost.items():
        if logs:
            call.warn(f"{len(logs)} {what} failed, the first is {Path(logs[0]).stem}: see {logs[0]}")
    if any(lost.values()):
        raise SystemExit(1)
    if plan.judges:
        for line in verdicts.counted(Path(plan.verdicts)):
            call.say(line)
        call.say(f"  each with its numbers: python -m nmepkg claims {plan.study_arguments}")
    for line in (*moved(plan.study, plan.expansion), *call.results):
        call.say(line)


def after_failure(call: Call, plan: Plan) -> None:
    """Says what failed, with its log, or what is kept where the call was stopped."""
    found = status(plan.study, plan.expansion, plan.store)
    if call.interrupted:
        runs = found["runs"]
        finished, of = runs["done"] + runs["diverged"], sum(runs.values())
        begun = f", {runs['stopped']} under way go on from their checkpoints" if runs["stopped"] else ""
        call.warn(f"stopped: {finished} of {of} runs are finished and kept{begun}; the same command goes on from there")
        return
    for line in what_failed(found):
        call.warn(line)
