"""The finished results of a study, in one archive."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.analysis.landscapes import read_landscape
from nmepkg.analysis.observations import ORIGINS, THEN, everywhere
from nmepkg.errors import UserError
from nmepkg.files import present
from nmepkg.runs.compared import study_comparisons
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.fingerprint import module_hashes
from nmepkg.runs.looks import looks_at
from nmepkg.sharing import archive
from nmepkg.storage import MEASUREMENT, RESULT, Store, lost
from nmepkg.study.overrides import arguments
from nmepkg.study.spec import Study

_README = """\
Results of a study of nmepkg, and the study itself, study.yaml. In a clone of the project:

    python -m nmepkg import FILE

checks all of it and puts it into the clone's store, from which its figures are drawn without training. manifest.json says
what each file is (size, SHA-256), and by which command and versions it came to be.
"""


@dataclass(frozen=True)
class Exported:
    """What an archive has of a study.

    Attributes:
      counts: of ``runs``, ``measurements`` and ``landscapes``, how many there are and of how many.
      without: runs that came without parameters, though those were wanted.
      size: of the archive, bytes.
    """

    counts: Mapping[str, tuple[int, int]]
    without: int
    size: int


def export(
    study: Study, expansion: Expansion, store: Store, out: Path, overrides: Mapping[str, Any], *, parameters: bool
) -> Exported:
    """Writes an archive of all that is finished of a study, by the code as it is now.

    Args:
      overrides: what the call changed of the study in its file.
      parameters: whether parameters and snapshots are in it.

    Raises:
      DamagedError: a result is not what was written.
      UserError: nothing is finished, or what is in the archive's place is none.
    """
    results = {
        run.id: records.read(store.result(run.id), RESULT, {"run": run.id, "spec": run.spec})
        for run in expansion.runs.values()
        if present(store.result(run.id))
    }
    results = {run: result for run, result in results.items() if not lost(store.run(run), result)}
    measured = {
        job.id: records.read(file, MEASUREMENT, {"measurement": job.id, "run": job.run, "spec": job.spec})
        for job in expansion.measurements.values()
        if job.run in results and present(file := store.measurement(str(job.run), job.id))
    }
    panels = {
        id: read_landscape(store.landscape(id), job.spec).provenance
        for id, job in expansion.panels().items()
        if present(store.landscape(id))
    }
    counts = {
        "runs": (len(results), len(expansion.runs)),
        "measurements": (len(measured), len(expansion.measurements)),
        "landscapes": (len(panels), len(expansion.panels())),
    }
    if not any(there for there, _ in counts.values()):
        raise UserError(f"{study.path}: nothing of it is finished by this code; see: python -m nmepkg status")
    files: dict[str, Path | bytes] = {
        archive.STUDY: study.path.read_bytes(),
        archive.README: _README.encode(),
    }
    provenances = [
        *(content["provenance"] for content in (*results.values(), *measured.values())),
        *panels.values(),
    ]
    for file in (*_codes(store, provenances), *_looks(store, study, expansion)):
        files[file.relative_to(store.root).as_posix()] = file
    without = 0
    for run in sorted(results):
        names = [store.run(run) / name for name in sorted(results[run]["files"])] if parameters else []
        kept = [file for file in names if present(file)]
        without += len(kept) < len(names)
        for file in (*kept, store.result(run)):  # which is last: where it is, the rest is
            files[file.relative_to(store.root).as_posix()] = file
    for job in sorted(measured):
        file = store.measurement(measured[job]["run"], job)
        files[file.relative_to(store.root).as_posix()] = file
    for id in sorted(panels):
        files[store.landscape(id).relative_to(store.root).as_posix()] = store.landscape(id)
    set_ = {key: value for key, value in overrides.items() if key != "store"}
    command = f"python -m nmepkg export {study.path.as_posix()} FILE {arguments(set_)}".strip()
    description = {
        "command": command + (" --parameters" if parameters else ""),
        "nmepkg": version("nmepkg"),
        "study": {"name": study.name, "file": study.path.name, "overrides": set_},
        "extensions": module_hashes(study.extensions),
        "versions": _versions(provenances),
        "counts": {what: list(pair) for what, pair in counts.items()},
    }
    archive.write(out, description, files, fast=parameters)
    return Exported(counts, without, out.stat().st_size)


def _codes(store: Store, provenances: Iterable[Mapping[str, Any]]) -> list[Path]:
    """What the store says of the codes that computed some results, or that these were adopted for."""
    steps = [step for provenance in provenances for step in (provenance, *provenance.get("adopted", ()))]
    codes = sorted({str(step["code"]) for step in steps})
    return [path for code in codes if present(path := store.code(code))]


def _looks(store: Store, study: Study, expansion: Expansion) -> Iterator[Path]:
    """The records of looks at the study's claims, and of when these were declared: verdicts depend on them."""
    folders = {looks_at(store, study, one).folder for one in study_comparisons(study, expansion) if one.seeds}
    name = re.compile(r"(look|declared)-[0-9a-f]{12}\.json")
    for folder in sorted(folders):
        yield from (path for path in sorted(folder.glob("*.json")) if name.fullmatch(path.name))


def _versions(provenances: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The versions and devices behind some results, each once."""
    found: dict[str, set[str]] = {name: set() for name in ORIGINS}
    for provenance in provenances:
        for name, values in found.items():
            values.update(everywhere(provenance, name).split(THEN))
    return {name: sorted(values) for name, values in found.items()}
