"""A study of the upkeep's tests whose results are whole: with numbers, parameters and ids that are their own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.runs.expansion import Run
from nmepkg.runs.fingerprint import module_hashes
from nmepkg.runs.identity import modules, run_targets
from nmepkg.runs.looks import declare
from nmepkg.storage import CODE, MEASUREMENT, RESULT
from tests.analysis.samples import measurement_content, result
from tests.upkeep.made import Made


def by_seed(run: Run) -> float | None:
    return 0.5 + 0.05 * run.spec["seed"] + 0.1 * run.spec["method"].get("strength", 0)


def filled(
    folder: Path,
    accuracy: Callable[[Run], float | None] = by_seed,
    edits: Iterable[tuple[str, str]] = (),
    **provenance: Any,
) -> Made:
    """All of the study's runs, and their measurements."""
    folder.mkdir(exist_ok=True)
    made = Made(folder)
    # As whoever calls the commands in the folder has it.
    made.path.write_text(made.path.read_text().replace(str(folder / "results"), "results"))
    for edit in edits:
        made.edit(*edit)
    where = {"start": "2026-01-01T00:00:00Z", "data_sha256": "0" * 64, **provenance}
    for run in made.runs:
        finish(made, run, accuracy(run), **where)
    for job in made.expansion.measurements.values():
        run = made.expansion.runs[str(job.run)]
        measured = {at: {"norm_H": 2.0 + run.spec["seed"]} for at in job.spec["at"]}
        content = measurement_content(job, run.spec, measured, **{**where, "code": job.code})
        records.write(made.store.measurement(run.id, job.id), MEASUREMENT, content)
    declare(made.store, made.study, made.expansion)
    return made


def finish(made: Made, run: Run, accuracy: float | None, **where: Any) -> None:
    params = f"parameters of {run.id} at {accuracy}".encode()
    content = result(run.id, run.spec, accuracy, **where, code=run.code, data=run.data_id)
    content["files"] = {"params.npz": hashlib.sha256(params).hexdigest()}
    records.write(made.store.result(run.id), RESULT, content)
    made.store.params(run.id).write_bytes(params)
    if not made.store.code(run.code).exists():
        targets = run_targets(run.spec)
        content = {"code": run.code, "targets": targets, "modules": module_hashes(modules(targets))}
        records.write(made.store.code(run.code), CODE, content)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a store, but locks and who uses it."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock" and path.parent.name != "studies"
    }
