"""One measurement of one run, from the run's folder to a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.files import written_whole
from nmepkg.measurement.points import At, Variables, measure_points
from nmepkg.training import compilation
from nmepkg.training.provenance import provenance
from nmepkg.training.result import read_state, snapshot_path

FORMAT = 1


def run(
    spec: Mapping[str, Any],
    directory: Path,
    data: Path,
    out: Path,
    *,
    name: str,
    code: str,
    cache: Path | None = None,
    stream: TextIO = sys.stderr,
) -> dict[str, Any]:
    """Measures a finished run and writes what it found, with how it was measured, to ``out`` (JSON).

    Args:
      spec: canonical spec of the measurement.
      directory: the run's folder.
      data: the run's prepared data (.npz).
      name, code: id of the measurement and hash of its code, recorded.
      cache: folder of the compilation cache; None compiles afresh.
      stream: where progress goes.

    Raises:
      UserError: the run is not finished, lacks a snapshot, or the data are missing, damaged or too few.
    """
    started = time.time()
    if cache is not None:
        compilation.enable_cache(cache)
    try:
        result = json.loads((directory / "result.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{directory / 'result.json'}: cannot be read ({error}); train the run first") from None
    run_spec, diverged = result["spec"], result["diverged"]
    last = (diverged or result["final"])["step"]

    def load(at: At) -> tuple[int, Variables | None]:
        if at == "final":
            return last, read_state(directory / "params.npz")
        step = int(at)
        path = snapshot_path(directory, step)
        if diverged and not path.exists():
            return step, None
        return step, read_state(path)

    dataset = store.read(data, run_spec["validation"]["fraction"], run_spec["validation"]["seed"])
    points, account = measure_points(run_spec, spec, dataset, load, lambda line: print(line, file=stream, flush=True))
    description = {
        "format": FORMAT,
        "measurement": name,
        "run": result["run"],
        "run_spec": run_spec,
        "spec": dict(spec),
        "data": account,
        "points": points,
        "provenance": {
            "code": code,
            **provenance(),
            "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "wall_seconds": round(time.time() - started, 3),
        },
    }
    with written_whole(out) as file:
        file.write(json.dumps(description, indent=1, allow_nan=False).encode() + b"\n")
    return description
