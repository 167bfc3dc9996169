"""One measurement of one run, from the run's folder to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from nmepkg import records, specs
from nmepkg.entries import load_target
from nmepkg.errors import UserError
from nmepkg.measurement.points import PRODUCTS, At, Variables, measure_points
from nmepkg.registry import DATASETS
from nmepkg.storage import MEASUREMENT
from nmepkg.training import compilation
from nmepkg.training.provenance import Account
from nmepkg.training.result import read_state, snapshot_path


@dataclass(frozen=True)
class Task:
    """A measurement of a finished run.

    Attributes:
      measurement: its id.
      spec: canonical.
      code: hash of the code, recorded.
      result: content of the run's ``result.json``.
      directory: the run's folder.
      data: the run's prepared data (.npz).
      out: file of what is found (JSON).
      source: folder that data are streamed from, where they are.
    """

    measurement: str
    spec: Mapping[str, Any]
    code: str
    result: Mapping[str, Any]
    directory: Path
    data: Path
    out: Path
    source: Path | None = None


def measure(
    task: Task, *, cache: Path | None = None, verify: Callable[[], None] = lambda: None, stream: TextIO = sys.stderr
) -> dict[str, Any]:
    """Measures a finished run and writes what it found, with how it was measured.

    Args:
      task: what is measured, of which run, to where.
      cache: folder of the compilation cache; None compiles afresh.
      verify: called before the result is written; raises if the modules in use are not those that ``task.code`` is the hash of.
      stream: where progress goes.

    Returns:
      The content of the file.

    Raises:
      UserError: the run lacks a snapshot, or the data are missing, damaged, too few or not those that it was trained on.
    """
    result, directory = task.result, task.directory
    run_spec, diverged, files = result["spec"], result["diverged"], result["files"]
    last = (diverged or result["final"])["step"]

    def load(at: At) -> tuple[int, Variables | str]:
        if at == "final":
            # Where a loss is no number, single parameters and quantities may still be: they are no result of a training.
            path = directory / "params.npz"
            return last, "not_finite" if diverged else read_state(path, files[path.name])
        step, path = int(at), snapshot_path(directory, int(at))
        if diverged and step > last:
            return step, "not_reached"
        sha256 = files.get(str(path.relative_to(directory)))
        if sha256 is None:
            raise UserError(
                f"{directory}: the run kept no parameters of step {at}; run snakemake again, which trains it anew"
            )
        return step, read_state(path, sha256)

    with compilation.cache(cache):
        account, recipe = Account(PRODUCTS, code=task.code), specs.recipe(run_spec)
        dataset = load_target(DATASETS[recipe.data.name].reader)(task.data, recipe, task.source)
        if dataset.sha256 != result["provenance"]["data_sha256"]:
            raise UserError(
                f"{task.data}: not the data that the run was trained on; delete {directory} and train it again"
            )
        points, taken = measure_points(
            recipe, specs.measurement(task.spec), dataset, load, lambda line: print(line, file=stream, flush=True)
        )
    verify()
    content = {
        "measurement": task.measurement,
        "run": result["run"],
        "run_spec": run_spec,
        "spec": dict(task.spec),
        "data": taken,
        "points": points,
        "provenance": account.provenance(),
    }
    records.write(task.out, MEASUREMENT, content)
    return content
