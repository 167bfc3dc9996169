"""Reading the results of runs, and refusing those that aren't what the study asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError

FORMAT = 1
_KEYS = ("format", "run", "spec", "status", "history", "final", "best_validation", "diverged", "provenance")


def result_path(store: Path, run: str) -> Path:
    return store / "runs" / run / "result.json"


def read_results(store: Path, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Reads and checks the result of every run: run id -> spec gives run id -> content of its ``result.json``.

    Raises:
      UserError: results are missing (says how many, and which is the first), or one is truncated, of another run or
        edited by hand.
    """
    missing = [run for run in specs if not result_path(store, run).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(specs)} results are missing, the first is {result_path(store, missing[0])}: "
            "train these runs first (snakemake does)"
        )
    return {run: read_result(result_path(store, run), run, spec) for run, spec in specs.items()}


def read_result(path: Path, run: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Reads one result and checks that it's whole, consistent, and that of ``run`` with ``spec``.

    Raises:
      UserError: it isn't; names the file, what's wrong and the remedy.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(path, f"not readable as JSON ({error})") from None
    problem = _problem(result, run, spec)
    if problem:
        raise _refused(path, problem)
    return result


def _problem(result: Any, run: str, spec: Mapping[str, Any]) -> str | None:
    if not isinstance(result, dict):
        return "not a JSON object"
    absent = [key for key in _KEYS if key not in result]
    if absent:
        return f"without the key {absent[0]!r}"
    if result["format"] != FORMAT:
        return f"of format {result['format']!r}, this version reads format {FORMAT}"
    if result["run"] != run:
        return f"that of another run, {result['run']!r}"
    if result["spec"] != spec:
        return f"that of another spec: {first_difference(result['spec'], spec)}"
    return _inconsistency(result)


def _inconsistency(result: dict[str, Any]) -> str | None:
    """What shows an edit by hand: the summary isn't a row of the history."""
    history, final, best = result["history"], result["final"], result["best_validation"]
    if not (isinstance(history, list) and history and all(isinstance(row, dict) for row in history)):
        return "without a history"
    if result["status"] not in ("completed", "diverged"):
        return f"of unknown status {result['status']!r}"
    if (result["status"] == "diverged") != (result["diverged"] is not None):
        return "inconsistent: 'status' and 'diverged' disagree"
    if final not in history or (result["status"] == "completed" and final != history[-1]):
        return "inconsistent: 'final' isn't the last row of 'history'"
    if best is not None:
        accuracies = [row.get("validation_accuracy") for row in history]
        finite = [a for a in accuracies if a is not None]
        if not finite or best != history[accuracies.index(max(finite))]:
            return "inconsistent: 'best_validation' isn't the row of 'history' with the highest validation accuracy"
    return None


def first_difference(found: Any, asked: Any, where: str = "spec") -> str:
    if isinstance(found, Mapping) and isinstance(asked, Mapping):
        for key in [*asked, *(key for key in found if key not in asked)]:
            if found.get(key) != asked.get(key) or (key in found) != (key in asked):
                return first_difference(found.get(key), asked.get(key), f"{where}.{key}")
    return f"{where} is {found!r} where the study asks for {asked!r}"


def _refused(path: Path, problem: str) -> UserError:
    return UserError(f"{path}: the result is {problem}; delete the folder {path.parent} and train the run again")


def metric(result: Mapping[str, Any], report: str, name: str, path: Path) -> float:
    """The metric ``name`` of the evaluation ``report`` (``final`` or ``best_validation``) of a completed run.

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
