"""What a workflow needs of the machine, checked before any job starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from nmepkg.errors import UserError
from nmepkg.files import locked


def check_versions() -> None:
    """Refuses packages that this one does not work with.

    Raises:
      UserError: names the package, its version, and the command that mends it.
    """
    for text in requires("nmepkg") or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not requirement.specifier.contains(found, prereleases=True):
            raise UserError(
                f"{requirement.name}: {found}, but nmepkg needs {requirement.specifier}; "
                f"run: python -m pip install '{requirement.name}{requirement.specifier}'"
            )


def check_writable(key: str, paths: Iterable[Path]) -> None:
    """Refuses paths that jobs are to write and cannot.

    Args:
      key: of the study that says where they are.

    Raises:
      UserError: names the key, how many files there are to write, the folder that is not writable, and the remedy.
    """
    paths = list(paths)
    for path in paths:
        folder = next(parent for parent in path.parents if parent.exists())
        if not folder.is_dir():
            raise UserError(
                f"{key}: {folder} is a file where a folder should be; choose another folder or move the file"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(
                f"{key}: {folder} is not writable, and {len(paths)} files are missing there, the first is {path}; "
                "choose another folder or ask for permission to write"
            )


@contextmanager
def working_alone(lock: Path) -> Iterator[None]:
    """Holds the lock of a study's workflow. Unlike Snakemake's, it is free as soon as its process ends, however it ends.

    Raises:
      UserError: another workflow runs on the study, or the folder is not writable.
    """
    try:
        with locked(lock):
            yield
    except BlockingIOError:
        raise UserError(
            f"{lock}: another snakemake is working on this study here; wait for it, or stop it first"
        ) from None
    except OSError as error:
        raise UserError(
            f"{lock}: cannot be written ({error.strerror}); call snakemake in a folder that is yours"
        ) from None
