"""What nothing uses any more: listed, and deleted when asked to."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.files import locked, present
from nmepkg.records import to_json
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.upkeep import ours
from nmepkg.upkeep.registration import registered, registered_variant, uses, variant
from nmepkg.upkeep.survey import is_locked, read_results

_ABANDONED = 86400.0  # seconds after which a temporary file is no writer's any more
_UNREAD = 30 * 86400.0  # seconds after which a compiled program is not expected to be used again


@dataclass(frozen=True)
class Leftover:
    """Something of ours in a store that no study uses.

    Attributes:
      kind: ``orphan``: no study asks for it; ``other code``: a study asks for the same, computed by other code;
        ``unfinished``: a training that never ended; ``temporary``: what a killed process had half written; ``compiled``: a
        program that no job has read for a month.
      path: of the run's folder, or of the file.
      files: what would be deleted, in this order.
      size: of them, bytes.
      owner: who wrote them.
      changed: when, the last of them.
    """

    kind: str
    path: Path
    files: tuple[Path, ...]
    size: int
    owner: str
    changed: str


def in_use(store: Store, studies: Iterable[tuple[Study, Expansion]]) -> dict[str, set[str]]:
    """Ids that studies use, by the store's folders: of those given, and of all others that are registered in the store.

    What a given study, in this variant, used before it was edited is just what may go. The same path on another host is
    another's study, and one that is not to be found, where nobody can tell whether it was deleted, renamed, or is on another
    branch, goes on to protect what it uses until :func:`nmepkg.upkeep.registration.forget`.

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
    given = {(socket.gethostname(), str(study.path.absolute()), *variant(study)) for study, _ in studies}
    return [content for content in registered(store) if _key(content) not in given]


def _key(content: Mapping[str, Any]) -> tuple[Any, ...]:
    return content["host"], content["study"], *registered_variant(content)


def out_of_sight(content: Mapping[str, Any]) -> bool:
    """Whether the study of a registration is not to be found here."""
    try:
        return content["host"] != socket.gethostname() or not present(Path(content["study"]))
    except OSError:
        return True


def studies_of(folder: Path, besides: Sequence[Path], store: Store) -> list[tuple[Study, Expansion]]:
    """The studies of a folder, and besides, whose store this is, with what somebody has called of them: in small, or a part.

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
            found += [study, *_variants(study, store)]
    return [(study, expand(study)) for study in found]


def _variants(study: Study, store: Store) -> Iterator[Study]:
    """Other variants of a study that are registered, as they are now. Of one that is no more, what it used is kept."""
    for content in registered(store):
        if _key(content)[:2] == (socket.gethostname(), str(study.path.absolute())):
            smoke, select = registered_variant(content)
            if (smoke, select) != variant(study):
                with suppress(UserError):
                    yield load(study.path, {"smoke": smoke, "select": select and list(select)})


def leftovers(store: Store, studies: Iterable[tuple[Study, Expansion]]) -> list[Leftover]:
    """Everything of ours in a store that is not in use. What a process is working on right now is left out.

    Raises:
      DamagedError: a registration cannot be read, so that it isn't known what is in use.
    """
    studies = list(studies)
    used, results = in_use(store, studies), read_results(store)
    wanted = {to_json(run.spec) for _, expansion in studies for run in expansion.runs.values()}
    found = list(_runs(store, used["runs"], results, wanted))
    for kind in ("measurements", "landscapes", "data"):
        things = getattr(ours, kind)(store)
        found += [_leftover("orphan", files[0], files) for id, files in things if id not in used[kind]]
    long_ago = time.time() - _ABANDONED
    abandoned = [path for path in ours.temporary(store) if path.stat().st_mtime < long_ago]
    within = {path for leftover in found for path in leftover.files}
    found += [_leftover("temporary", path, [path]) for path in abandoned if path not in within]
    last_month = time.time() - _UNREAD
    # Where reading leaves no trace (a file system mounted noatime), a month after they were written: they are compiled again.
    unread = [path for path in ours.compiled(store) if _last_used(path) < last_month]
    for folder, paths in itertools.groupby(unread, lambda path: path.parent):
        found.append(_leftover("compiled", folder, list(paths)))
    return found


def _last_used(path: Path) -> float:
    state = path.stat()
    return max(state.st_atime, state.st_mtime)


def _runs(
    store: Store, used: Set[str], results: Mapping[str, Mapping[str, object]], wanted: Set[str]
) -> Iterator[Leftover]:
    for run, files in ours.runs(store):
        folder = store.run(run)
        if run in used or is_locked(folder):
            continue
        kind = "orphan" if present(store.result(run)) else "unfinished"
        if run in results and to_json(results[run]["spec"]) in wanted:
            kind = "other code"
        yield _leftover(kind, folder, files)


def _leftover(kind: str, path: Path, files: Sequence[Path]) -> Leftover:
    states = [file.stat() for file in files]
    try:
        owner = files[-1].owner()
    except KeyError:  # somebody who has no account here
        owner = str(states[-1].st_uid)
    changed = time.strftime("%Y-%m-%d", time.localtime(max(state.st_mtime for state in states)))
    return Leftover(kind, path, tuple(files), sum(state.st_size for state in states), owner, changed)


def delete(found: Iterable[Leftover]) -> Iterator[Leftover]:
    """Deletes leftovers, and of their folders those that are empty then; gives each that is gone.

    A run that somebody has begun to train meanwhile is left.

    Raises:
      OSError: something cannot be deleted.
    """
    for leftover in found:
        folders = [leftover.path.parent]
        if leftover.path.is_dir():
            folders, lock = [leftover.path / "snapshots", leftover.path], leftover.path / ".lock"
            try:
                with locked(lock):
                    _unlink(*leftover.files, lock)
            except BlockingIOError:
                continue
        else:
            _unlink(*leftover.files)
        for folder in folders:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        yield leftover


def _unlink(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)
