"""What a workflow needs of the machine, checked before any job starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion

from nmepkg.errors import UserError
from nmepkg.files import locked


def check_versions() -> None:
    """Refuses packages that this one does not work with.

    Raises:
      UserError: names the package, its version, and the command that mends it.
    """
    try:
        requirements = [Requirement(text) for text in requires("nmepkg") or ()]
    except PackageNotFoundError:
        raise UserError("nmepkg: not installed; run in its folder: python -m pip install --editable .") from None
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _found(requirement)
        if found is not None:
            raise UserError(
                f"{requirement.name}: {found}, but nmepkg needs {requirement.specifier or 'it'}; "
                f"run: python -m pip install '{requirement.name}{requirement.specifier}'"
            )


def _found(requirement: Requirement) -> str | None:
    """What there is in place of what is required; None if it is there."""
    found: str | None = None
    try:
        # None where an installation is broken, or in later versions of Python a KeyError.
        found = version(requirement.name)
        if found is not None and requirement.specifier.contains(found, prereleases=True):
            return None
    except PackageNotFoundError:
        return "missing"
    except (InvalidVersion, KeyError):
        pass
    return found or "broken"


def check_folder(key: str, folder: Path) -> None:
    """Refuses a folder that is none and cannot become one, whatever is to be done there.

    Args:
      key: of the study that names it.

    Raises:
      UserError: names the key and the remedy.
    """
    _existing(key, folder / "any")


def check_writable(key: str, paths: Iterable[Path]) -> None:
    """Refuses paths that jobs are to write and cannot.

    Args:
      key: of the study that says where they are.

    Raises:
      UserError: names the key, how many files there are to write, the folder that is not writable, and the remedy.
    """
    paths = list(paths)
    for path in paths:
        folder = _existing(key, path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(
                f"{key}: {folder} is not writable, and {len(paths)} files are missing there, the first is {path}; "
                "choose another folder or ask for permission to write"
            )


def _existing(key: str, path: Path) -> Path:
    """The nearest folder above a path that there is."""
    try:
        folder = next(parent for parent in path.parents if parent.exists())
    except OSError as error:
        raise UserError(f"{key}: {error.strerror}: {str(path)[:60]}…; choose another folder") from None
    if not folder.is_dir():
        raise UserError(f"{key}: {folder} is a file where a folder should be; choose another folder or move the file")
    return folder


def check_start(lock: Path, dry: bool) -> None:
    """Refuses a folder that Snakemake cannot keep its own files in, and, but for a dry run, that of a running workflow.

    Args:
      lock: of the study's workflow. It is not taken, nor made.

    Raises:
      UserError: names the folder or the lock, and the remedy.
    """
    folder = _existing("snakemake's own files", lock)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{lock.parent}: {folder.absolute()} is not writable; call snakemake in a folder that is yours")
    if lock.exists() and not dry:
        with working_alone(lock):
            pass


@contextmanager
def working_alone(lock: Path) -> Iterator[None]:
    """Holds the lock of a study's workflow. Unlike Snakemake's, it is free as soon as its process ends, however it ends.

    Raises:
      UserError: another workflow runs on the study, or the folder is not writable.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock))
        except BlockingIOError:
            raise UserError(
                f"{lock}: another snakemake is working on this study here; wait for it or stop it, or look on with -n"
            ) from None
        except OSError as error:
            raise UserError(
                f"{lock}: cannot be written ({error.strerror}); call snakemake in a folder that is yours"
            ) from None
        yield
