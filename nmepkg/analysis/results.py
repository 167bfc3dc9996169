"""Reading the results of runs, and refusing those that aren't what the study asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.storage import RESULT, Store


def read_results(store: Store, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Reads and checks the result of every run: run id -> spec gives run id -> content of its ``result.json``.

    Raises:
      UserError: results are missing (says how many, and which is the first), or one is truncated, of another run or
        edited by hand.
    """
    missing = [run for run in specs if not store.result(run).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(specs)} results are missing, the first is {store.result(missing[0])}: "
            "train these runs first (snakemake does)"
        )
    expected = {run: {"run": run, "spec": spec} for run, spec in specs.items()}
    # A spec is most of a small run's result, and the study's is in memory already.
    return {run: records.read(store.result(run), RESULT, known) | known for run, known in expected.items()}


def metric(result: Mapping[str, Any], report: str, name: str, path: Path) -> float:
    """The metric ``name`` of the evaluation ``report`` (``final``, ``best_validation`` or ``median_last``) of a completed run.

    Raises:
      UserError: the run has no such evaluation, or no such finite metric.
    """
    row = result[report]
    if row is None:
        raise UserError(
            f"{path}: the run has no validation set, so no 'best_validation'; let the figure report 'final'"
        )
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(
            f"{path}: {report}.{name} is {value!r}, a number is needed; "
            f"choose another 'y' (the run has {', '.join(key for key in row if key not in ('epoch', 'step'))})"
        )
    return float(value)
