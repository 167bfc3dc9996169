"""The files of a finished run, ``result.json`` and ``params.npz``, written once and whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nmepkg.training.loop import Outcome

FORMAT = 1


def describe(run: str, spec: Mapping[str, Any], outcome: Outcome, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``result.json``. Everything but ``provenance`` is the same each time a run is repeated.

    ``final`` is the last evaluation (of a diverged run, the last finite one); ``best_validation`` the evaluation with the
    highest validation accuracy, the earliest of equals, null without a validation set.
    """
    validated = [row for row in outcome.history if row["validation_accuracy"] is not None]
    return {
        "format": FORMAT,
        "run": run,
        "spec": dict(spec),
        "status": "completed" if outcome.diverged is None else "diverged",
        "diverged": outcome.diverged,
        "final": outcome.history[-1],
        "best_validation": max(validated, key=lambda row: row["validation_accuracy"], default=None),
        "history": outcome.history,
        "provenance": dict(provenance),
    }


def write(directory: Path, description: Mapping[str, Any], outcome: Outcome) -> None:
    """Writes a run's parameters into an existing folder, then its result: where that is, everything is there."""
    variables = {"params": outcome.state.params, "batch_stats": outcome.state.batch_stats}
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    arrays = {"/".join(str(part.key) for part in path): np.asarray(leaf) for path, leaf in leaves}
    temporary = directory / f".writing.{os.getpid()}"
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        _flush(file)
    os.replace(temporary, directory / "params.npz")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(description, file, indent=1, allow_nan=False)
        file.write("\n")
        _flush(file)
    os.replace(temporary, directory / "result.json")


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
