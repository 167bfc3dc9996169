"""The results of an archive, put into a store: what is there stays, and a result comes after its files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.analysis.landscapes import describe
from nmepkg.files import arrays_sha256, file_sha256, locked, present, read_arrays, written_whole
from nmepkg.sharing import archive
from nmepkg.sharing.archive import File
from nmepkg.sharing.checking import KINDS, Checked, numbers_of, place, plain
from nmepkg.storage import LANDSCAPE, LEFT_OUT, RESULT, Store, gone
from nmepkg.upkeep.differences import changes
from nmepkg.upkeep.survey import is_locked, read_if_whole


@dataclass
class Imported:
    """What became of the contents of an archive.

    Attributes:
      new, there: counts by kind: put into the store, and there before, with the same numbers.
      kept: a line for each result of the store that is another than the archive's, and stays.
      busy: runs that are trained here just now.
    """

    new: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)


def put(checked: Checked, store: Store, *, parameters: bool = True) -> Imported:
    """Puts what an archive has into a store that lacks it. Killed at any moment, it goes on when it is called again.

    A result that is there is never replaced: where it is another one, it stays, what the archive has of that run is left, and
    that is said.

    Args:
      parameters: whether parameters and snapshots are wanted too.

    Raises:
      DamagedError: a result of the store is damaged, or the archive is another than the one that was checked.
      OSError: the store cannot be written.
    """
    found, wanted = _decide(checked, store)
    stated = archive.files_of(checked.manifest)
    for name, pieces in archive.contents(checked.path, checked.manifest):
        kind, id = place(name)
        path = store.root / name
        if (
            kind == "text"
            or (kind == "arrays" and not parameters)
            or (kind in (*KINDS, "arrays") and (kind.replace("arrays", "runs"), id) not in wanted)
        ):
            continue
        if kind in ("runs", "arrays"):
            _put_of_run(checked, store, id, path, stated[name], pieces, found)
        elif not present(path):
            _write(path, pieces)
            found.new[kind] += kind in KINDS
    return found


def _decide(checked: Checked, store: Store) -> tuple[Imported, set[tuple[str, str]]]:
    """What to say of what is there already, and what is wanted of the archive."""
    found, wanted = Imported(), set[tuple[str, str]]()
    other, stated = set[str](), archive.files_of(checked.manifest)
    for (kind, id), numbers in sorted(checked.numbers.items(), key=lambda item: item[0][0] != "runs"):
        run = checked.run.get(id, "")
        if run in other:
            continue
        here = _here(store, kind, id, run)
        if kind == "runs" and here is None and is_locked(store.run(id)):
            found.busy.append(id)
            other.add(id)
        elif here is None:
            wanted.add((kind, id))
        elif numbers_of(here) == numbers:
            found.there[kind] += 1
            if kind == "runs" and any(
                file.relative_to(store.root).as_posix() in stated for file in gone(store.run(id), here)
            ):
                wanted.add((kind, id))
        else:
            other |= {id} if kind == "runs" else set()
            found.kept.append(f"{id}: {_difference(plain(here), checked.of[kind, id])}")
    return found, wanted


def _here(store: Store, kind: str, id: str, run: str) -> Mapping[str, Any] | None:
    if kind == "landscapes":
        if not present(store.landscape(id)):
            return None
        here = describe(store.landscape(id))
        if here is None or here["arrays"] != arrays_sha256(_arrays(store.landscape(id))):
            raise LANDSCAPE.refuse(store.landscape(id), "not readable")
        return here
    path = store.result(id) if kind == "runs" else store.measurement(run, id)
    return records.read(path, KINDS[kind], {}) if present(path) else None


def _arrays(path: Path) -> dict[str, Any]:
    return {name: array for name, array in read_arrays(path).items() if name != "description"}


def _difference(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """The first number in which two results differ; of their files and histories, only that they do."""
    for where, one, other in changes(dict(here), dict(there)):
        if not re.match("files|arrays", where):
            return f"{where} is {one!r} here and {other!r} in the archive"
    return "other parameters or learning curves here than in the archive"


def _put_of_run(
    checked: Checked, store: Store, run: str, path: Path, stated: File, pieces: Iterable[bytes], found: Imported
) -> None:
    """A file of a run, unless somebody trains it here; its result last, with what is said of the files that are not there."""
    is_result, lock = path.name == "result.json", store.run(run) / ".lock"
    try:
        with locked(lock):
            there = read_if_whole(store.result(run), RESULT)
            name = path.relative_to(store.run(run)).as_posix()
            if there is not None and there["files"].get("params.npz") != checked.files[run].get("params.npz"):
                found.busy.append(run)  # another training of it has ended since
            elif not is_result:
                spoken_of = there is None or there["files"].get(name) == stated.sha256
                if spoken_of and (not present(path) or (there is None and file_sha256(path) != stated.sha256)):
                    _write(path, pieces)
            elif there is None:
                missing = {name: sha for name, sha in checked.files[run].items() if not present(store.run(run) / name)}
                if missing:
                    records.write(store.left_out(run), LEFT_OUT, {"files": missing})
                _write(path, pieces)
                found.new["runs"] += 1
            lock.unlink(missing_ok=True)
    except BlockingIOError:
        found.busy += [run] if run not in found.busy else []


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with written_whole(path) as file:
        for piece in pieces:
            file.write(piece)
