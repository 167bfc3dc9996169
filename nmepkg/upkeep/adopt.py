"""Declaring that a change of code changes no result: what is finished goes on to serve, and says so from then on."""

from __future__ import annotations

import getpass
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmepkg import records
from nmepkg.analysis.landscapes import describe, read_landscape
from nmepkg.data.store import KIND as DATA
from nmepkg.errors import UserError
from nmepkg.files import present, written_whole
from nmepkg.records import DamagedError, to_json
from nmepkg.runs import identity
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.storage import LANDSCAPE, MEASUREMENT, RESULT, Store
from nmepkg.upkeep.differences import changed_data_modules, changed_modules
from nmepkg.upkeep.survey import names, read_if_whole, read_results, serving_code


@dataclass(frozen=True)
class Adoption:
    """A finished result that can serve for one that is missing: the same spec, computed by other code.

    Attributes:
      what: ``run``, ``measurement`` or ``landscape``.
      old, new: ids.
      code: hash of the code now.
      modules: which modules changed in between; of a measurement none, where its run alone did.
      run: of a measurement, the id of the run under which it will be found.
    """

    what: str
    old: str
    new: str
    code: str
    modules: tuple[str, ...]
    run: str = ""
    old_run: str = ""


def adoptions(expansion: Expansion, store: Store, only: Collection[str] = ()) -> list[Adoption]:
    """What could be adopted for a study, the latest where there are several.

    Args:
      only: ids of runs, measurements and landscapes that may be adopted; empty is all.

    Raises:
      UserError: a run's data were prepared by other code too, and whether they are the same is not known or not so.
    """
    results = read_results(store)
    by_spec: dict[str, list[str]] = {}
    for id in sorted(results, key=lambda id: results[id]["provenance"]["start"]):
        by_spec.setdefault(to_json(results[id]["spec"]), []).append(id)
    found: list[Adoption] = []
    served: dict[str, str] = {}  # run id -> the run whose measurements are its own
    for run in expansion.runs.values():
        others = [id for id in by_spec.get(to_json(run.spec), ()) if id != run.id]
        if others and run.id not in results and (not only or run.id in only):
            _refuse_other_data(store, run, results[others[-1]])
            served[run.id] = others[-1]
            found.append(_adopt_run(store, run, others[-1], results[others[-1]]))
    for job in expansion.measurements.values():
        if not only or job.id in only or job.run in served:
            found += _adopt_measurement(store, job, served.get(str(job.run), str(job.run)))
    for job in expansion.panels().values():
        if not only or job.id in only:
            found += _adopt_landscape(store, job)
    return found


def _adopt_run(store: Store, run: Run, old: str, result: Mapping[str, Any]) -> Adoption:
    provenance = result["provenance"]
    modules = changed_modules(store, serving_code(provenance), identity.run_targets(run.spec))
    if provenance["data"] != run.data_id:
        modules += changed_data_modules(store, provenance["data"], run.spec["data"])
    return Adoption("run", old, run.id, run.code, tuple(modules))


def _refuse_other_data(store: Store, run: Run, result: Mapping[str, Any]) -> None:
    provenance, path = result["provenance"], store.data(run.data_id)
    if provenance["data"] == run.data_id:
        return
    try:
        arrays = records.read(path.with_suffix(".json"), DATA, {})["arrays"]
    except DamagedError:
        raise UserError(f"{path}: not prepared by the code as it is now; run: snakemake {path}, then adopt") from None
    if arrays != provenance["data_sha256"]:
        raise UserError(f"{path}: the data themselves changed, so {run.id} cannot be adopted; train it again")


def _adopt_measurement(store: Store, job: Job, old_run: str) -> Iterator[Adoption]:
    if present(store.measurement(str(job.run), job.id)):
        return
    folder = store.root / "measurements" / old_run
    others = [content for name in sorted(names(folder)) if (content := read_if_whole(folder / name, MEASUREMENT))]
    same = [other for other in others if other["spec"] == job.spec]
    if same:
        latest = max(same, key=lambda other: other["provenance"]["start"])
        modules = changed_modules(store, serving_code(latest["provenance"]), identity.measurement_targets(job.spec))
        yield Adoption(
            "measurement", latest["measurement"], job.id, job.code, tuple(modules), str(job.run), latest["run"]
        )


def _adopt_landscape(store: Store, job: Job) -> Iterator[Adoption]:
    there = names(store.root / "landscapes")
    if f"{job.id}.npz" in there:
        return
    for name in sorted(there):
        content = describe(store.root / "landscapes" / name)
        if content and content["spec"] == job.spec:
            modules = changed_modules(store, serving_code(content["provenance"]), identity.landscape_targets(job.spec))
            yield Adoption("landscape", name.removesuffix(".npz"), job.id, job.code, tuple(modules))
            return


def adopt(store: Store, adoption: Adoption, reason: str) -> None:
    """Makes a finished result serve under its new id too; its provenance says from where, by whom, when and why.

    Raises:
      DamagedError: the finished one is not whole.
      OSError: the store cannot be written.
    """
    note = {
        "from": adoption.old,
        "code": adoption.code,
        "reason": reason,
        "modules": list(adoption.modules),
        "user": getpass.getuser(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if adoption.what == "run":
        old, new = store.run(adoption.old), store.run(adoption.new)
        content = records.read(old / "result.json", RESULT, {"run": adoption.old})
        for name in (*content["files"], "left_out.json"):
            if present(old / name):
                _link(old / name, new / name)
        records.write(new / "result.json", RESULT, _noted({**content, "run": adoption.new}, note))
    elif adoption.what == "measurement":
        path = store.measurement(adoption.old_run, adoption.old)
        content = records.read(path, MEASUREMENT, {"measurement": adoption.old})
        content = {**content, "measurement": adoption.new, "run": adoption.run}
        records.write(store.measurement(adoption.run, adoption.new), MEASUREMENT, _noted(content, note))
    else:
        path = store.landscape(adoption.old)
        description = describe(path)
        if description is None:
            raise LANDSCAPE.refuse(path, "not readable")
        arrays = read_landscape(path, description["spec"]).arrays
        text = records.seal(_noted(description, note))
        with written_whole(store.landscape(adoption.new)) as file:
            np.savez_compressed(file, allow_pickle=False, description=np.array(text), **arrays)


def _noted(content: Mapping[str, Any], note: Mapping[str, Any]) -> dict[str, Any]:
    provenance = content["provenance"]
    return {**content, "provenance": {**provenance, "adopted": [*provenance.get("adopted", ()), note]}}


def _link(old: Path, new: Path) -> None:
    """The same file under another name; a copy where the file system has no such thing."""
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
