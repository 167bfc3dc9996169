"""Reading the measurements of runs, and refusing those that aren't what the study asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nmepkg.analysis.results import first_difference
from nmepkg.errors import UserError
from nmepkg.study.spec import Job

FORMAT = 1
STATUSES = ("measured", "not_finite", "not_reached")
_KEYS = ("format", "measurement", "run", "run_spec", "spec", "data", "points", "provenance")


def measurement_path(store: Path, run: str, measurement: str) -> Path:
    return store / "measurements" / run / f"{measurement}.json"


def read_measurements(
    store: Path, jobs: Iterable[Job], run_specs: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Reads and checks measurements: (run id, measurement id) -> content of the file.

    Args:
      jobs: the measurements asked for, each of a run.
      run_specs: run id -> canonical spec of the run.

    Raises:
      UserError: files are missing (says how many, and which is the first), or one is truncated, of another run or
        measurement, or edited by hand.
    """
    wanted = {(str(job.run), job.id): job for job in jobs}
    missing = [key for key in wanted if not measurement_path(store, *key).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(wanted)} measurements are missing, the first is "
            f"{measurement_path(store, *missing[0])}: measure these runs first (snakemake does)"
        )
    return {key: read_measurement(measurement_path(store, *key), job, run_specs[key[0]]) for key, job in wanted.items()}


def read_measurement(path: Path, job: Job, run_spec: Mapping[str, Any]) -> dict[str, Any]:
    """Reads one measurement and checks that it's whole, consistent, and the one asked for.

    Raises:
      UserError: it isn't; names the file, what's wrong and the remedy.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(path, f"not readable as JSON ({error})") from None
    problem = _problem(content, job, run_spec)
    if problem:
        raise _refused(path, problem)
    return content


def quantity(content: Mapping[str, Any], point: Mapping[str, Any], name: str, path: Path) -> float | None:
    """The quantity ``name`` at a point of a measurement; None where it is no finite number, or was not reached.

    Raises:
      UserError: the measurement has no such quantity, or it is no number.
    """
    if point["values"] is None:
        return None
    if name not in point["values"]:
        raise _refused(path, f"without the quantity {name!r}, it has {', '.join(point['values'])}")
    return _number(point["values"][name], f"{name} at {point['at']}", path)


def standard_error(point: Mapping[str, Any], name: str, path: Path) -> float | None:
    """The standard error of an estimated quantity within one run; None for an exact one."""
    return _number((point["values"] or {}).get(f"{name}_se"), f"{name}_se at {point['at']}", path)


def _number(value: Any, what: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(path, f"without a number for {what}: it is {value!r}")
    return float(value) if math.isfinite(value) else None


def _problem(content: Any, job: Job, run_spec: Mapping[str, Any]) -> str | None:
    if not isinstance(content, dict):
        return "not a JSON object"
    absent = [key for key in _KEYS if key not in content]
    if absent:
        return f"without the key {absent[0]!r}"
    if content["format"] != FORMAT:
        return f"of format {content['format']!r}, this version reads format {FORMAT}"
    for key, asked in (("run", job.run), ("measurement", job.id)):
        if content[key] != asked:
            return f"that of another {key}, {content[key]!r}"
    for key, spec in (("run_spec", run_spec), ("spec", job.spec)):
        if content[key] != spec:
            return f"that of another spec: {first_difference(content[key], spec, key)}"
    if not isinstance(content["provenance"], dict):
        return "without a provenance"
    return _inconsistency(content["points"], job.spec["at"])


def _inconsistency(points: Any, places: list[Any]) -> str | None:
    """What shows half a measurement, or an edit by hand."""
    if not (isinstance(points, list) and all(isinstance(p, dict) for p in points)):
        return "without points"
    found = [point.get("at") for point in points]
    if found != places:
        return f"inconsistent: its points are at {found} where the spec has {places}"
    for point in points:
        at, step, status, values = (point.get(key) for key in ("at", "step", "status", "values"))
        if status not in STATUSES:
            return f"of unknown status {status!r} at {at}"
        expected = {"initial": 0, "final": step}.get(str(at), at)
        if isinstance(step, bool) or not isinstance(step, int) or step < 0 or step != expected:
            return f"inconsistent: step {step!r} at {at}"
        if not (isinstance(values, dict) or (values is None and status != "measured")):
            return f"inconsistent: {status} at {at}, but its values are {values!r}"
        if status == "not_reached" and values is not None:
            return f"inconsistent: not reached at {at}, but it has values"
    return None


def _refused(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: the measurement is {problem}; delete the file and measure the run again")
