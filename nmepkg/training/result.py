"""The files of a run, ``result.json``, ``params.npz`` and snapshots on the way, each written once and whole."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from nmepkg.errors import UserError
from nmepkg.files import written_whole
from nmepkg.training.loop import Outcome
from nmepkg.training.step import State

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
    """Writes a run's parameters, then its result: where that is, everything is there."""
    write_state(directory / "params.npz", outcome.state)
    with written_whole(directory / "result.json") as file:
        file.write(json.dumps(description, indent=1, allow_nan=False).encode() + b"\n")


def snapshot_path(directory: Path, step: int) -> Path:
    """Where a run keeps its state after ``step`` steps."""
    return directory / "snapshots" / f"{step}.npz"


def write_state(path: Path, state: State) -> None:
    """Writes parameters and running averages under keys such as ``params/Dense_0/kernel``."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    arrays = {"/".join(str(part.key) for part in path): np.asarray(leaf) for path, leaf in leaves}
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, running averages) that :func:`write_state` wrote.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        with np.load(path) as file:
            arrays = {tuple(key.split("/")): file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete its run's folder and train it again") from None
    variables = traverse_util.unflatten_dict(arrays)
    return variables["params"], variables.get("batch_stats", {})
