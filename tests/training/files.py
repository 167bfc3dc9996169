"""A run from its spec to its files, and what it wrote."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.storage import RESULT
from nmepkg.training import train as training


def strict(path: Path) -> dict[str, Any]:
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{path}: {constant}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def task(spec: dict[str, Any], data: Path, out: Path, snapshots: tuple[int, ...] = ()) -> training.Task:
    return training.Task("some-run", spec, "abc", out, data, snapshots=snapshots)


def run(
    spec: dict[str, Any], data: Path, out: Path, snapshots: tuple[int, ...] = (), **options: Any
) -> tuple[dict[str, Any], str]:
    stream = io.StringIO()
    returned = training.train(task(spec, data, out, snapshots), stream=stream, **options)
    result = strict(out / "result.json")
    assert records.read(out / "result.json", RESULT, {}) == {"format": RESULT.format, **returned}
    return result, stream.getvalue()


def same(result: dict[str, Any]) -> dict[str, Any]:
    """All that is the same each time a run is repeated."""
    return {key: value for key, value in result.items() if key not in ("provenance", "sha256")}
