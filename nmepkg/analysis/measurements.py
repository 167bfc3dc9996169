"""Reading the measurements of runs, and refusing those that aren't what the study asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.runs.expansion import Job
from nmepkg.storage import MEASUREMENT, Store


def read_measurements(
    store: Store, jobs: Iterable[Job], run_specs: Mapping[str, Mapping[str, Any]]
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
    missing = [key for key in wanted if not store.measurement(*key).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(wanted)} measurements are missing, the first is "
            f"{store.measurement(*missing[0])}: measure these runs first (snakemake does)"
        )
    found = {}
    for (run, name), job in wanted.items():
        expected = {"measurement": name, "run": run, "spec": job.spec, "run_spec": run_specs[run]}
        # Specs are most of a file, and the study's are in memory already.
        found[run, name] = records.read(store.measurement(run, name), MEASUREMENT, expected) | expected
    return found


def quantity(
    content: Mapping[str, Any], point: Mapping[str, Any], name: str, path: Path, radius: float | None = None
) -> float | None:
    """The quantity ``name`` at a point of a measurement; None where it is no finite number, or was not reached.

    Args:
      radius: the one of the measurement's ``radii`` that is asked for; None of a measurement without.

    Raises:
      UserError: the measurement has no such quantity, or it is no number.
    """
    if point["values"] is None:
        return None
    if name not in point["values"]:
        raise MEASUREMENT.refuse(path, f"without the quantity {name!r}, it has {', '.join(point['values'])}")
    return _number(_at(content, point["values"][name], radius), f"{name} at {point['at']}", path)


def standard_error(
    content: Mapping[str, Any], point: Mapping[str, Any], name: str, path: Path, radius: float | None = None
) -> float | None:
    """The standard error of an estimated quantity within one run; None for an exact one."""
    value = (point["values"] or {}).get(f"{name}_se")
    return _number(_at(content, value, radius), f"{name}_se at {point['at']}", path)


def _at(content: Mapping[str, Any], value: Any, radius: float | None) -> Any:
    """What a quantity is at a radius; what is no list, as it is."""
    if radius is None or not isinstance(value, list):
        return value
    index = content["spec"]["radii"].index(radius)
    return value[index] if index < len(value) else None


def _number(value: Any, what: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MEASUREMENT.refuse(path, f"without a number for {what}: it is {value!r}")
    return float(value) if math.isfinite(value) else None
