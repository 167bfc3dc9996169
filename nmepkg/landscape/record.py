"""One landscape, from its spec to its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmepkg import records, specs
from nmepkg.files import arrays_sha256, written_whole
from nmepkg.landscape.check import check
from nmepkg.landscape.compute import compute
from nmepkg.storage import LANDSCAPE
from nmepkg.training import compilation
from nmepkg.training.provenance import Account


def record(
    spec: Mapping[str, Any],
    out: Path,
    *,
    code: str,
    cache: Path | None = None,
    verify: Callable[[], None] = lambda: None,
) -> None:
    """Computes a landscape and writes it to ``out``, whole or not at all.

    The file is a compressed .npz of what :func:`nmepkg.landscape.compute.compute` returns, and of ``description``, sealed JSON
    with ``format``, ``spec``, the hash of the arrays and ``provenance``.

    Args:
      spec: canonical and complete.
      code: hash of the code, recorded.
      cache: folder of the compilation cache; None compiles afresh.
      verify: called before the result is written; raises if the modules in use are not those that ``code`` is the hash of.

    Raises:
      UserError: there is no such landscape, or a value is not finite.
      OSError: the file cannot be written.
    """
    check(spec)
    with compilation.cache(cache):
        account = Account(code=code)
        arrays = compute(specs.landscape(spec))
    verify()
    content = {
        "format": LANDSCAPE.format,
        "spec": dict(spec),
        "arrays": arrays_sha256(arrays),
        "provenance": account.provenance(),
    }
    with written_whole(out) as file:
        np.savez_compressed(file, allow_pickle=False, description=np.array(records.seal(content)), **arrays)
