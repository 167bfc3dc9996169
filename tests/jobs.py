"""Files of jobs, as the workflow writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment
from nmepkg.storage import Store


def job_file(
    folder: Path,
    store: Path | str,
    id: str,
    spec: dict[str, Any],
    code: str,
    run: str | None = None,
    snapshots: tuple[int, ...] = (),
) -> Path:
    """Writes the file of a job that computes one thing on the CPU; a folder for it is made."""
    path = folder / "jobs" / f"{id}.json"
    jobs.write(path, Assignment((Job(id, spec, code, run, snapshots),), Store(Path(store))))
    return path
