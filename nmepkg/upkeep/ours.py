"""What in a store this program wrote: it has the form of an id, and holds a record that was sealed under that id.

A store may be somebody's folder. Whatever else is there is not ours, wherever it is and whatever it is called.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.analysis.landscapes import describe
from nmepkg.storage import Store
from nmepkg.upkeep.survey import names

_ID = r"[^/]+-[0-9a-f]{12}"
# As nmepkg.files.written_whole calls what it is writing: a dot, the name, a dot, and eight signs of mkstemp.
_TEMPORARY = re.compile(
    rf"""(runs/{_ID}/\.(result\.json|left_out\.json|state\.json|params\.npz|checkpoint\.npz)
    | runs/{_ID}/snapshots/\.\d+\.npz
    | measurements/{_ID}/\.{_ID}\.json
    | (data|landscapes)/\.{_ID}\.(npz|json)
    | studies/\.{_ID}\.json
    | code/\.[0-9a-f]{{16}}\.json
    | cache/jax/[0-9a-f]{{12}}/\.[^/]+)
    \.[a-z0-9_]{{8}}""",
    re.VERBOSE,
)
_PLACES = ("runs", "measurements", "data", "landscapes", "studies", "code", "cache/jax")


def runs(store: Store) -> Iterator[tuple[str, list[Path]]]:
    """Ids of the runs in a store, and of each its files: last what says whose they are, so that no part is left unnamed.

    Folders that are closed to this user are not ours.
    """
    for run in sorted(filter(_is_id, names(store.root / "runs"))):
        folder = store.run(run)
        if folder.is_symlink() or not os.access(folder, os.R_OK | os.X_OK):
            continue
        proofs = [path for path in (store.state(run), store.result(run)) if _sealed(path).get("run") == run]
        if proofs:
            snapshots = [path for path in folder.glob("snapshots/*.npz") if path.stem.isdigit()]
            others = [
                store.params(run),
                *sorted(snapshots),
                store.left_out(run),
                folder / "checkpoint.npz",
                folder / ".lock",
            ]
            own = [*others, *_half_written(store, folder), store.state(run), store.result(run)]
            yield run, list(filter(_is_file, own))


def measurements(store: Store) -> Iterator[tuple[str, list[Path]]]:
    """Ids of measurements, and the file of each."""
    for run in sorted(filter(_is_id, names(store.root / "measurements"))):
        folder = store.root / "measurements" / run
        if folder.is_symlink() or not os.access(folder, os.R_OK | os.X_OK):
            continue
        for name in sorted(names(folder)):
            path = folder / name
            if path.suffix == ".json" and _is_id(path.stem) and _sealed(path).get("measurement") == path.stem:
                yield path.stem, [path]


def landscapes(store: Store) -> Iterator[tuple[str, list[Path]]]:
    """Ids of landscapes, and the file of each."""
    for name in sorted(names(store.root / "landscapes")):
        path = store.root / "landscapes" / name
        if path.suffix == ".npz" and _is_id(path.stem) and _is_file(path) and describe(path) is not None:
            yield path.stem, [path]


def data(store: Store) -> Iterator[tuple[str, list[Path]]]:
    """Ids of prepared data, and the files of each, the description last."""
    for name in sorted(names(store.root / "data")):
        path = store.root / "data" / name
        if path.suffix == ".json" and _is_id(path.stem) and {"arrays", "code", "spec"} <= _sealed(path).keys():
            yield path.stem, [file for file in store.data_files(path.stem) if _is_file(file)]


def compiled(store: Store) -> list[Path]:
    """Programs in the compilation cache, as JAX calls its entries, by type of CPU."""
    folders = [store.compiled / name for name in names(store.compiled) if re.fullmatch("[0-9a-f]{12}", name)]
    paths = [folder / name for folder in folders for name in names(folder)]
    return sorted(path for path in paths if re.fullmatch(r"[^.].*-[0-9a-f]{64}-cache", path.name) and _is_file(path))


def temporary(store: Store) -> list[Path]:
    """What processes of this program are writing, or had half written when they were killed."""
    return [path for place in _PLACES for path in _half_written(store, store.root / place)]


def _half_written(store: Store, top: Path) -> list[Path]:
    paths = [Path(folder, name) for folder, _, files in os.walk(top) for name in files if name.startswith(".")]
    ours = (path for path in paths if _TEMPORARY.fullmatch(path.relative_to(store.root).as_posix()))
    return sorted(filter(_is_file, ours))


def _is_id(name: str) -> bool:
    return re.fullmatch(_ID, name) is not None


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _sealed(path: Path) -> dict[str, Any]:
    """The record in a file, of whatever format; nothing where there is none."""
    try:
        return records.unseal(path.read_bytes().decode("utf-8")) if _is_file(path) else {}
    except (OSError, ValueError):
        return {}
