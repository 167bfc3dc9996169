"""The files of a run, ``result.json``, ``params.npz`` and snapshots on the way, each written once and whole."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.files import file_sha256, read_arrays, written_whole
from nmepkg.storage import RESULT
from nmepkg.training.loop import Outcome, Row
from nmepkg.training.step import State


def describe(outcome: Outcome, last_epochs: int) -> dict[str, Any]:
    """What ``result.json`` says of the training itself: the same, to the bit, each time it is repeated in equal surroundings.

    ``final`` is the last evaluation (of a diverged run, the last finite one); ``best_validation`` the evaluation with the
    highest validation accuracy, the earliest of equals, null without a validation set; ``median_last`` the median of each
    metric over the evaluations of the last ``last_epochs`` epochs (Goyal et al. 2018), and how many they are; null if it
    diverged.
    """
    history = outcome.history
    validated = [row for row in history if row["validation_accuracy"] is not None]
    return {
        "status": "completed" if outcome.diverged is None else "diverged",
        "diverged": outcome.diverged,
        "final": history[-1],
        "best_validation": max(validated, key=lambda row: row["validation_accuracy"], default=None),
        "median_last": None if outcome.diverged else _median(history, last_epochs),
        "history": history,
    }


def _median(history: list[Row], last_epochs: int) -> Row:
    first = max(1, history[-1]["epoch"] - max(1, last_epochs) + 1)
    rows = [row for row in history if row["epoch"] >= first]
    metrics = {
        key: None if last is None else statistics.median(row[key] for row in rows)
        for key, last in rows[-1].items()
        if key not in ("epoch", "step")
    }
    return {"evaluations": len(rows), **metrics}


def write(
    directory: Path,
    run: str,
    spec: Mapping[str, Any],
    kept: Iterable[int],
    outcome: Outcome,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes a run's parameters, then its result: where that is, everything is there. Returns the result's content.

    Args:
      kept: steps after which there is a snapshot, if the training came so far.

    Raises:
      UserError: such a snapshot is missing.
      OSError: the folder cannot be written.
    """
    write_state(directory / "params.npz", outcome.state)
    taken = int(outcome.state.step)
    snapshots = [snapshot_path(directory, step) for step in kept if step <= taken]
    missing = [path for path in snapshots if not path.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: this snapshot was deleted during the training; delete {directory} and run again"
        )
    files = [directory / "params.npz", *snapshots]
    content = {
        "run": run,
        "spec": dict(spec),
        **describe(outcome, spec["training"]["evaluate_last"]),
        "files": {str(path.relative_to(directory)): file_sha256(path) for path in files},
        "provenance": dict(provenance),
    }
    records.write(directory / "result.json", RESULT, content)
    return content


def snapshot_path(directory: Path, step: int) -> Path:
    """Where a run keeps its state after ``step`` steps."""
    return directory / "snapshots" / f"{step}.npz"


def snapshots_in(directory: Path) -> set[int]:
    """The steps after which a run's folder has its state."""
    return {int(path.stem) for path in directory.glob("snapshots/*.npz") if path.stem.isdigit()}


def write_state(path: Path, state: State) -> None:
    """Writes parameters and running averages under keys such as ``params/Dense_0/kernel``."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    arrays = {"/".join(str(part.key) for part in path): np.asarray(leaf) for path, leaf in leaves}
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_state(path: Path, sha256: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, running averages) that :func:`write_state` wrote to a file with this hash.

    Raises:
      UserError: the file is missing, damaged or another.
    """
    remedy = "delete its run's folder and train it again"
    if not path.exists():
        raise UserError(f"{path}: gone since its run was finished; run snakemake again, which trains that anew")
    try:
        if file_sha256(path) != sha256:
            raise UserError(f"{path}: changed since the run's result was written; {remedy}")
        arrays = {tuple(key.split("/")): array for key, array in read_arrays(path).items()}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {remedy}") from None
    variables = traverse_util.unflatten_dict(arrays)
    return variables["params"], variables.get("batch_stats", {})
