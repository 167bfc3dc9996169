"""What nothing uses any more: listed, and deleted when asked to."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.files import present
from nmepkg.storage import Store
from nmepkg.study.expand import expand
from nmepkg.study.identity import to_json
from nmepkg.study.load import load
from nmepkg.study.registration import registered, uses
from nmepkg.study.spec import Expansion, Study
from nmepkg.upkeep.survey import is_locked, names, read_results

_ABANDONED = 86400.0  # seconds after which a temporary file is no writer's any more


@dataclass(frozen=True)
class Leftover:
    """Something in a store that no study uses.

    Attributes:
      kind: ``orphan``: no study asks for it; ``other code``: a study asks for the same, computed by other code;
        ``unfinished``: a training that never ended; ``temporary``: what a killed process had half written.
      size: bytes.
    """

    kind: str
    path: Path
    size: int


def in_use(store: Store, studies: Iterable[tuple[Study, Expansion]]) -> dict[str, set[str]]:
    """Ids that studies use, by the store's folders: of those given, and of all others that are registered in the store.

    What a given study used before it was edited is just what may go. The same path on another host is another's study, and
    one that is not to be found, where nobody can tell whether it was deleted, renamed, or is on another branch, goes on to
    protect what it uses until :func:`nmepkg.study.registration.forget`.

    Raises:
      DamagedError: a registration cannot be read, so that it isn't known what is in use.
      PermissionError: one is closed to this user.
    """
    found: dict[str, set[str]] = {"runs": set(), "data": set(), "measurements": set(), "landscapes": set()}
    studies = list(studies)
    for _, expansion in studies:
        for folder, ids in uses(expansion).items():
            found[folder] |= set(ids)
    for content in others(store, studies):
        for folder in found:
            found[folder] |= set(content[folder])
    return found


def others(store: Store, studies: Iterable[tuple[Study, Expansion]]) -> list[dict[str, Any]]:
    """What is registered in a store by other studies than those given."""
    given = {(socket.gethostname(), str(study.path.absolute())) for study, _ in studies}
    return [content for content in registered(store) if (content["host"], content["study"]) not in given]


def out_of_sight(content: Mapping[str, Any]) -> bool:
    """Whether the study of a registration is not to be found here."""
    try:
        return content["host"] != socket.gethostname() or not present(Path(content["study"]))
    except OSError:
        return True


def studies_of(folder: Path, besides: Sequence[Path], store: Store) -> list[tuple[Study, Expansion]]:
    """The studies of a folder, and besides, whose store this is.

    Raises:
      UserError: one cannot be read, or there is no such folder: it is not known what is in use.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; call gc in the project's, whose studies say what is in use")
    found = []
    for path in dict.fromkeys([*sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]), *besides]):
        try:
            study = load(path)
        except UserError as problem:
            raise UserError(f"{problem} (nothing is deleted while it is not known what this study uses)") from None
        if Path(study.store).resolve() == store.root.resolve():
            found.append((study, expand(study)))
    return found


def leftovers(store: Store, studies: Iterable[tuple[Study, Expansion]]) -> list[Leftover]:
    """Everything in a store that is not in use. What a process is working on right now is left out.

    Raises:
      DamagedError: a registration cannot be read, so that it isn't known what is in use.
    """
    studies = list(studies)
    used, results = in_use(store, studies), read_results(store)
    wanted = {to_json(run.spec) for _, expansion in studies for run in expansion.runs.values()}
    found = list(_runs(store, used, results, wanted))
    for run in sorted(names(store.root / "measurements")):
        folder = store.root / "measurements" / run
        if not os.access(folder, os.R_OK | os.X_OK):
            continue
        for name in sorted(names(folder)):
            if name.removesuffix(".json") not in used["measurements"] and not name.startswith("."):
                found.append(_leftover("orphan", folder / name))
    for kind in ("landscapes", "data"):
        for name in sorted(names(store.root / kind)):
            if Path(name).stem not in used[kind] and not name.startswith("."):
                found.append(_leftover("orphan", store.root / kind / name))
    now = time.time()
    for path in sorted(store.root.glob("**/.*.*")):
        if path.is_file() and path.name != ".lock" and now - path.stat().st_mtime > _ABANDONED:
            found.append(_leftover("temporary", path))
    return found


def _runs(
    store: Store, used: Mapping[str, set[str]], results: Mapping[str, Mapping[str, object]], wanted: set[str]
) -> Iterator[Leftover]:
    for run in sorted(names(store.root / "runs") - used["runs"]):
        folder = store.run(run)
        if is_locked(folder) or not os.access(folder, os.R_OK | os.X_OK):  # what is closed to us is not ours
            continue
        kind = "orphan"
        if run not in results:
            kind = "orphan" if present(store.result(run)) else "unfinished"
        elif to_json(results[run]["spec"]) in wanted:
            kind = "other code"
        yield _leftover(kind, folder)


def _leftover(kind: str, path: Path) -> Leftover:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Leftover(kind, path, sum(file.stat().st_size for file in files))


def delete(found: Iterable[Leftover]) -> None:
    """Deletes leftovers. A run's result goes first, so that half a run never looks like a whole one.

    Raises:
      OSError: something cannot be deleted.
    """
    for leftover in found:
        if leftover.path.is_dir():
            (leftover.path / "result.json").unlink(missing_ok=True)
            shutil.rmtree(leftover.path)
        else:
            leftover.path.unlink()
            if not any(leftover.path.parent.iterdir()):
                leftover.path.parent.rmdir()
