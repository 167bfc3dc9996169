"""One landscape, from its spec to its file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmepkg.files import written_whole
from nmepkg.landscape.compute import compute
from nmepkg.landscape.spec import check
from nmepkg.training import compilation
from nmepkg.training.provenance import provenance

FORMAT = 1


def run(spec: Mapping[str, Any], out: Path, *, code: str, cache: Path | None = None) -> None:
    """Computes a landscape and writes it to ``out``, whole or not at all.

    The file is a compressed .npz of what :func:`nmepkg.landscape.compute.compute` returns, and of ``description``, JSON with
    ``format``, ``spec`` and ``provenance``.

    Args:
      spec: canonical and complete.
      code: hash of the code, recorded.
      cache: folder of the compilation cache; None compiles afresh.

    Raises:
      UserError: there is no such landscape, or a value is not finite.
      OSError: the file cannot be written.
    """
    started = time.time()
    check(spec)
    if cache is not None:
        compilation.enable_cache(cache)
    arrays = compute(spec)
    description = {
        "format": FORMAT,
        "spec": dict(spec),
        "provenance": {
            "code": code,
            **provenance(),
            "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "wall_seconds": round(time.time() - started, 3),
        },
    }
    with written_whole(out) as file:
        np.savez_compressed(
            file, allow_pickle=False, description=np.array(json.dumps(description, allow_nan=False)), **arrays
        )
