"""What a job is told: a file that names its work, written when the workflow starts and read when the job does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmepkg import extensions, records
from nmepkg.records import Kind
from nmepkg.runs.expansion import Job
from nmepkg.storage import Store

KIND = Kind("file of a job", 3, "run snakemake again, which writes it")


@dataclass(frozen=True)
class Assignment:
    """What one job of Snakemake does.

    Attributes:
      jobs: what it computes, in order; several only of trainings, and of measurements.
      store: of all results.
      gpus: that it was promised; 0: it computes on the CPU.
      at_once: how many of several it computes side by side.
      source: folder of data that are streamed, or that a data set is made from.
      checkpoints: ``seconds`` and ``epochs`` between two of them, or None.
      logs: folder of the logs of several, one each.
      extensions: modules whose entries the job may name.
      beside: folder in which these are looked for, that of the study.
    """

    jobs: tuple[Job, ...]
    store: Store
    gpus: int = 0
    at_once: int = 1
    source: Path | None = None
    checkpoints: Mapping[str, Any] = field(default_factory=dict)
    logs: Path | None = None
    extensions: tuple[str, ...] = ()
    beside: Path = Path()

    @property
    def job(self) -> Job:
        """What is computed by one that computes one thing."""
        (job,) = self.jobs
        return job


def write(path: Path, assignment: Assignment) -> None:
    """Writes the file of a job."""
    content = {
        "jobs": [vars(job) for job in assignment.jobs],
        "store": str(assignment.store.root),
        "gpus": assignment.gpus,
        "at_once": assignment.at_once,
        "source": assignment.source and str(assignment.source),
        "checkpoints": dict(assignment.checkpoints),
        "logs": assignment.logs and str(assignment.logs),
        "extensions": list(assignment.extensions),
        "beside": str(assignment.beside),
    }
    records.write(path, KIND, content)


def read(path: Path) -> Assignment:
    """What :func:`write` wrote. The registry has the entries of its extensions from then on.

    Raises:
      DamagedError: the file is not there, or is not what was written.
      UserError: an extension cannot be imported any more.
    """
    content = records.read(path, KIND, {})
    beside = Path(content["beside"])
    extensions.load(content["extensions"], beside)
    return Assignment(
        jobs=tuple(Job(**{**job, "snapshots": tuple(job["snapshots"])}) for job in content["jobs"]),
        store=Store(Path(content["store"])),
        gpus=content["gpus"],
        at_once=content["at_once"],
        source=Path(content["source"]) if content["source"] else None,
        checkpoints=content["checkpoints"],
        logs=Path(content["logs"]) if content["logs"] else None,
        extensions=tuple(content["extensions"]),
        beside=beside,
    )
