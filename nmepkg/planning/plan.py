"""A study as one call of Snakemake plans it: what there is to make, of what, where it goes, and what jobs are told."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.files import present
from nmepkg.planning.packs import Member, Pack, measured_together, packs
from nmepkg.registry import DATASETS
from nmepkg.runs import jobs
from nmepkg.runs.compared import compared_measurements, compared_runs, study_comparisons
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Job, Run
from nmepkg.runs.figure_identity import claims_identity, figure_digest, origin_identity, page_identity
from nmepkg.runs.jobs import Assignment
from nmepkg.storage import Store, figure_record
from nmepkg.study.overrides import arguments
from nmepkg.study.sources import source_of
from nmepkg.study.spec import Resources, Study

_OWN = Path(".snakemake")
_PROCESS_GB = 4.0  # of memory that a process of JAX takes on a GPU, whatever it computes
_MEASURING_HOURS = 2.0  # at most; it has no checkpoints, so that another try gets more time


class Plan:
    """The plan of a study.

    Args:
      overrides: what the call changed of the study in its file, for scripts that read that once more.

    Attributes:
      study_arguments: words of a shell by which such a script reads the same study.
      landscapes: id -> landscape.
      snapshots: run id -> the steps after which its training keeps its parameters, where there are any.
      logs, figures: folders.
      marks: folder of the marks of what is trained or measured together, or again, which live as long as one call of Snakemake.
      lock: of the study's workflow.
      packs: id -> runs that one job trains.
      measured_together: id -> measurements that one job takes.
      unasked: ids of either of which nothing was asked for by itself, so that all of it is done.
      started: whether the first job is near.
      judges: whether claims are judged.
      again: runs whose result is there, and not the parameters or snapshots that are asked for.
      apart: finished runs whose parameters or data are not there, as after an import. Snakemake is told of no file of theirs:
        it would make what is missing, and do all again that is made of it.
    """

    def __init__(self, study: Study, overrides: Mapping[str, Any], *, dry: bool = False) -> None:
        self.study_arguments = f"--study {shlex.quote(str(study.path))} {arguments(overrides)}".strip()
        self.study, self.expansion, self.store = study, expand(study), Store(Path(study.store))
        self.landscapes = self.expansion.panels()
        self.logs, self.figures = f"{study.output}/logs", f"{study.output}/figures/{study.name}"
        self.marks = _OWN / "packs" / (f"{study.name}-n" if dry else study.name)
        self.lock = _OWN / f"{study.name}.lock"
        self.packs: dict[str, Pack] = {}
        self.again: set[str] = set()
        self.apart: set[str] = set()
        self.unasked: set[str] = set()
        self.started = self.judges = False
        self._setup_of = self.expansion.setup_of()
        self.snapshots = self.expansion.snapshots()
        self._pack_of: dict[str, Pack] = {}
        self.measured_together: dict[str, tuple[Job, ...]] = {}
        self._together_with: dict[str, str] = {}  # measurement -> id of those that one job takes with it

    def look(self) -> None:
        """Finds out which runs are not finished, and not measured. Jobs need not know of any run but theirs."""
        runs, store = self.expansion.runs, self.store
        measurements = self.expansion.measurements
        missing = [job for job in measurements.values() if not present(store.measurement(str(job.run), job.id))]
        bare = {id for id in runs if present(store.left_out(id)) and not present(store.params(id))}
        measured = {str(job.run) for job in missing}
        asked = self.expansion.snapshots(without=measurements.keys() - {job.id for job in missing})
        unfinished = {id for id in runs if not store.finished(id, asked.get(id, ())) or (id in bare and id in measured)}
        unprepared = {id for id in self.expansion.datasets if not all(map(present, store.data_files(id)))}
        self.apart = {id for id, run in runs.items() if id in bare or run.data_id in unprepared} - unfinished
        self.packs = packs(self.study, self.expansion, lambda run: run not in unfinished)
        self.again = {run for run in unfinished if present(store.result(run))}
        self._pack_of = {run.id: pack for pack in self.packs.values() for run in pack.runs}
        absent = [job.id for job in missing]
        self.measured_together = measured_together(self.study, self.expansion, absent, self._pack_of)
        self._together_with = {job.id: id for id, taken in self.measured_together.items() for job in taken}

    # What files are.

    def result(self, run: str) -> str:
        """What says that a run is finished: its result, or a mark of this call's that it was trained with others, or again."""
        if run in self._pack_of:
            return f"{self.marks}/{run}.trained"
        return f"{self.marks}/{run}.again" if run in self.again else str(self.store.result(run))

    def finished(self, runs: Iterable[str]) -> list[str]:
        """The same of several runs."""
        return [self.result(run) for run in runs if run not in self.apart]

    def pack_mark(self, run: str) -> str:
        """What says that the job has ended that trains a run with others."""
        return f"{self.marks}/{self._pack_of[run].id}.done"

    def training_log(self, run: str) -> Path:
        """What was said while a run was trained."""
        return Path(self.logs, "train", f"{run}.log")

    def measurement(self, id: str) -> str:
        """What says that a measurement is there: its file, or a mark of this call's that it was taken with others."""
        run = str(self.expansion.measurements[id].run)
        return self.measured_mark(run, id) if id in self._together_with else str(self.store.measurement(run, id))

    def measured_mark(self, run: str, id: str) -> str:
        """What says that a measurement is there that was taken with others."""
        return f"{self.marks}/{run}/{id}.measured"

    def measured_log(self, run: str, id: str) -> Path:
        """What was said while it was taken."""
        return Path(self.logs, "measure", run, f"{id}.log")

    def behind_measurement(self, run: str, id: str) -> list[str]:
        """What a measurement that one job takes waits for."""
        if run in self.apart:
            return [] if present(self.store.measurement(run, id)) else self.data(run)
        return [self.result(run), *self.data(run)]

    def target(self, rule: str, outputs: Sequence[str], logs: Sequence[str]) -> str | None:
        """What has Snakemake do a job alone, whatever it was done with: a figure, or the file of a result.

        Of a job that does several there is none.
        """
        log = Path(logs[0])
        if rule in ("draw", "judge"):
            return log.stem if rule == "draw" else "claims"
        if rule == "trained":
            return str(self.store.result(log.stem))
        if rule == "measured":
            return str(self.store.measurement(log.parent.name, log.stem))
        return None if rule.endswith("together") else outputs[0]

    def behind_measured(self, run: str, id: str) -> list[str]:
        """What the check waits for that it was taken: its run, so that this is asked for, and the job that takes it."""
        return [*self.finished([run]), f"{self.marks}/{self._together_with[id]}.taken"]

    def behind_together(self, pack: str) -> list[str]:
        """What a job waits for that takes several measurements: that those of the runs are trained that can be.

        A job of a cluster, which knows of no pack, looks for nothing again: a run that failed is not there.
        """
        runs = [str(job.run) for job in self.measured_together.get(pack, ())]
        trained = [
            self.pack_mark(run) if run in self._pack_of else str(self.store.result(run))
            for run in runs
            if run not in self.apart
        ]
        return distinct([trained, *map(self.data, runs)])

    def data(self, run: str) -> list[str]:
        """The files of a run's data."""
        return list(map(str, self.store.data_files(self.run(run).data_id)))

    def results(self) -> list[Path]:
        """All results of the study but its measurements."""
        return [*map(self.store.result, self.expansion.runs), *map(self.store.landscape, self.landscapes)]

    def measurements(self) -> list[str]:
        """All measurements of the study."""
        return list(map(self.measurement, self.expansion.measurements))

    def behind(self, figure: str) -> list[str]:
        """What a figure is drawn from."""
        drawn = self.study.figures[figure]
        if drawn.landscape is not None:
            return [str(self.store.landscape(job.id)) for _, job in self.expansion.landscapes[drawn.landscape]]
        files = self.finished(self.expansion.runs_of(drawn))
        return files + list(map(self.measurement, self.expansion.measurements_of(drawn)))

    def record(self, figure: str) -> str:
        """Named by what a figure shows and the code that draws it: whatever else is there, it is missing if either changed."""
        digest = figure_digest(self.study, self.expansion, self.study.figures[figure])
        return str(figure_record(Path(self.figures), figure, digest))

    def behind_claims(self) -> list[str]:
        """What the study's claims are judged by."""
        figures = [self.study.figures[claim.figure] for claim in self.study.claims.values()]
        of_landscapes = [self.behind(figure.name) for figure in figures if figure.landscape is not None]
        found = study_comparisons(self.study, self.expansion)
        measured = map(self.measurement, compared_measurements(self.study, found))
        return distinct([*of_landscapes, self.finished(compared_runs(found)), measured])

    def lost(self, targets: Iterable[str]) -> list[str]:
        """What figures, or ``claims``, that are there are made of and that is there no more: targets ask for it besides.

        Of one that is not there, its own job asks for all of it, and every mention of a file takes Snakemake's time.
        """
        return distinct(self._lost[target] for target in targets)

    @cached_property
    def _lost(self) -> dict[str, list[str]]:
        made = {name: self.record(name) for name in self.study.figures}
        made |= {"claims": self.claims} if self.study.claims else {}
        there = [target for target, record in made.items() if present(Path(record))]
        behind = {target: self.behind_claims() if target == "claims" else self.behind(target) for target in there}
        gone = {target: [file for file in files if not present(Path(file))] for target, files in behind.items()}
        return {target: gone.get(target, []) for target in made}

    @property
    def shown(self) -> list[str]:
        """The targets that show what the study finds: its figures, and its claims if it has any."""
        return [*self.study.figures, *(["claims"] if self.study.claims else [])]

    @property
    def verdicts(self) -> str:
        """The table of verdicts."""
        return f"{self.study.output}/claims/{self.study.name}.csv"

    @cached_property
    def claims(self) -> str:
        """The record of the verdicts, named as a figure's."""
        digest = claims_identity(self.study, self.expansion)["digest"]
        return str(figure_record(Path(self.figures), "claims", digest))

    @cached_property
    def page(self) -> str:
        """The record of the page of all figures."""
        return str(figure_record(Path(self.figures), "page", page_identity(self.study, self.expansion)["digest"]))

    @cached_property
    def origin(self) -> str:
        """The same of where the figures come from."""
        digest = origin_identity(self.study, self.expansion)["digest"]
        return str(figure_record(Path(self.figures), "origin", digest))

    # What jobs need and are told.

    def run(self, id: str) -> Run:
        """A run of the study. Jobs of a cluster read the study again, when it may have changed.

        Raises:
          UserError: the study has it no more.
        """
        if id not in self.expansion.runs:
            raise UserError(f"{id}: study or code changed since this job was planned; run snakemake again")
        return self.expansion.runs[id]

    def needs(self, run: str) -> Resources:
        """What a job on a run needs of a machine."""
        self.run(run)
        return self.study.setups[self._setup_of[run]].resources

    def needs_of_pack(self, pack: str) -> Resources:
        """What a job needs that trains several runs."""
        return self.needs(self.runs_of_pack(pack)[0])

    def hours(self, runs: Sequence[str], most: float = math.inf) -> float:
        """That a job takes which has several runs of a setup, each for its hours and ``most`` at most, some side by side."""
        hours = min(most, self.needs(runs[0]).hours)
        return hours * math.ceil(len(runs) / self.study.setups[self._setup_of[runs[0]]].runs_at_once)

    def runs_of_pack(self, pack: str) -> list[str]:
        """Ids of the runs that a job trains. The job itself has them from its file."""
        if pack in self.packs:
            return [run.id for run in self.packs[pack].runs]
        return [job.id for job in jobs.read(Path(self.file("train_together", pack))).jobs]

    def needs_to_measure(self, run: str) -> Resources:
        """What a job needs that measures a run: one device, and of what a training has its share."""
        needs = self.needs(run)
        devices = max(1, needs.gpus)
        memory = min(needs.memory_gb, max(_PROCESS_GB, needs.memory_gb / devices))
        return Resources(min(1, needs.gpus), max(1, needs.cpus // devices), memory, min(_MEASURING_HOURS, needs.hours))

    def needs_to_measure_together(self, pack: str) -> Resources:
        """What a job needs that takes several measurements."""
        taken = self.measurements_of_pack(pack)
        alone = self.needs_to_measure(str(taken[0].run))
        return replace(alone, hours=self.hours([str(job.run) for job in taken], most=_MEASURING_HOURS))

    def measurements_of_pack(self, pack: str) -> tuple[Job, ...]:
        """The measurements that a job takes. The job itself has them from its file."""
        if pack in self.measured_together:
            return self.measured_together[pack]
        return jobs.read(Path(self.file("measure_together", pack))).jobs

    def file(self, rule: str, job: str) -> str:
        """The file that tells a job what to do."""
        return f"{_OWN}/jobs/{self.study.name}/{rule}/{job}.json"

    def assignment(self, rule: str, name: str, asked: Iterable[str] = ()) -> Assignment:
        """What a job is to do, with the study's extensions.

        Args:
          rule: ``data``, ``train``, ``train_together``, ``measure``, ``measure_together`` or ``landscape``.
          name: id of what it makes, or of a pack.
          asked: ids of runs, or measurements. Of a pack, those of them are made; where there are none, all.
        """
        study = self.study
        return replace(self._work(rule, name, asked), extensions=study.extensions, beside=study.path.parent.absolute())

    def _work(self, rule: str, name: str, asked: Iterable[str]) -> Assignment:
        expansion, setups = self.expansion, self.study.setups
        if rule == "data":
            data = expansion.datasets[name]
            return Assignment((data,), self.store, source=source_of(self.study, data.spec["name"]))
        if rule == "landscape":
            return Assignment((self.landscapes[name],), self.store)
        if rule.startswith("measure"):
            alone = (expansion.measurements[name],) if rule == "measure" else ()
            taken = alone or _asked(self.measured_together[name], set(asked))
            run, logs = str(taken[0].run), Path(self.logs, "measure")
            at_once = 1 if alone else setups[self._setup_of[run]].runs_at_once
            return Assignment(taken, self.store, min(1, self.needs(run).gpus), at_once, self._streamed(run), logs=logs)
        runs = (self.run(name),) if rule == "train" else _asked(self.packs[name].runs, set(asked))
        setup = setups[self._setup_of[runs[0].id]]
        return Assignment(
            tuple(Job(run.id, run.spec, run.code, snapshots=self.snapshots.get(run.id, ())) for run in runs),
            self.store,
            setup.resources.gpus,
            1 if rule == "train" else setup.runs_at_once,
            self._streamed(runs[0].id),
            self.study.checkpoints,
            Path(self.logs, "train"),
        )

    def _streamed(self, run: str) -> Path | None:
        """Where what reads a run's data while it works finds them; prepared arrays need no source any more."""
        name = self.run(run).spec["data"]["name"]
        return source_of(self.study, name) if DATASETS[name].streamed else None


def _asked(members: tuple[Member, ...], asked: set[str]) -> tuple[Member, ...]:
    return tuple(member for member in members if member.id in asked) or members


def distinct(lists: Iterable[Iterable[object]]) -> list[str]:
    """Files, each once: every mention of one takes Snakemake's time."""
    return list(dict.fromkeys(str(file) for files in lists for file in files))
