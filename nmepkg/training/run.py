"""One run, from a canonical spec and prepared data to its files.

The numbers come from :mod:`nmepkg.training.loop`, and a run's id stands for what that imports and for what the registry
names. Nothing here, nor in the modules of progress, provenance, compilation and files, may change a number.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from nmepkg.data import store
from nmepkg.training import compilation, loop, result
from nmepkg.training.progress import Progress
from nmepkg.training.provenance import provenance


def run(
    spec: Mapping[str, Any],
    data: Path,
    directory: Path,
    *,
    name: str,
    code: str,
    cache: Path | None = None,
    stream: TextIO = sys.stderr,
) -> dict[str, Any]:
    """Trains a run and writes ``result.json``, ``params.npz`` and the snapshots that its spec asks for.

    The result depends on spec, data, code, library versions and device alone; on the same machine, a repeated run is equal
    to the bit outside its ``provenance``.

    Args:
      spec: canonical and complete, as the study expands it.
      data: prepared data (.npz).
      directory: where the files go.
      name: the run's id.
      code: hash of the code, recorded.
      cache: folder of the compilation cache; None compiles afresh.
      stream: where progress goes.

    Returns:
      The content of ``result.json``.

    Raises:
      UserError: data that are missing, damaged or too few.
      OSError: the directory cannot be written.
    """
    started = time.time()
    if cache is not None:
        compilation.enable_cache(cache)
    dataset = store.read(data, spec["validation"]["fraction"], spec["validation"]["seed"])
    directory.mkdir(parents=True, exist_ok=True)  # now, rather than fail after the training
    outcome = loop.train(
        spec,
        dataset,
        report=Progress(spec["training"]["epochs"], stream),
        snapshot=lambda step, state: result.write_state(result.snapshot_path(directory, step), state),
    )
    if outcome.diverged is not None:
        stream.write(f"diverged in epoch {outcome.diverged['epoch']}: the loss is no longer a finite number\n")
    origin = {
        "code": code,
        "data_sha256": dataset.sha256,
        **provenance(),
        "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_seconds": round(time.time() - started, 3),
    }
    description = result.describe(name, spec, outcome, origin)
    result.write(directory, description, outcome)
    return description
