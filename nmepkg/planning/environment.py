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
from nmepkg.files import locked, present
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.spec import Study
from nmepkg.study.strict_yaml import read


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


def check_store(study: Study, expansion: Expansion) -> None:
    """Refuses a store of which this user cannot tell what of a study is there.

    Raises:
      UserError: the store is no folder, or what is there is closed to this user; names it and the remedy.
    """
    store, key = Store(Path(study.store)), f"{study.path}: store"
    check_folder(key, store.root)
    for run in expansion.runs:
        _check_readable(key, store.result(run))
        _check_readable(key, store.params(run))
    for id in expansion.datasets:
        _check_readable(key, store.data(id))
    for job in expansion.measurements.values():
        _check_readable(key, store.measurement(str(job.run), job.id))
    for id in expansion.panels():
        _check_readable(key, store.landscape(id))


def _check_readable(key: str, path: Path) -> None:
    """Refuses a file that is there, or may be, and that this user may not read."""
    if os.access(path, os.R_OK):
        return
    try:
        if not present(path):
            return
    except PermissionError:
        pass
    closed = next((folder for folder in reversed(path.parents) if not os.access(folder, os.X_OK)), path)
    raise UserError(
        f"{key}: {closed} is closed to you, as its owner's umask was 077 or so; have the owner call 'chmod -R a+rX {closed}', "
        "or choose another store"
    )


def check_name(study: Study) -> None:
    """Refuses a study beside which another has its name and its output: each would draw over the other's figures.

    Raises:
      UserError: names both, and the remedy.
    """
    for path in sorted([*study.path.parent.glob("*.yaml"), *study.path.parent.glob("*.yml")]):
        try:
            other = read(path)
        except UserError:
            continue  # of the one that is called it would have been said
        alike = other.get("name") == study.name.removesuffix("-smoke" if study.smoke else "") and "setups" in other
        if alike and Path(str(other.get("output", "results"))) == Path(study.output) and not path.samefile(study.path):
            raise UserError(
                f"{study.path}: name: {path} has the same name and output, so that each would draw over the other's figures; "
                "give one of them another name"
            )


def one_line(error: Exception) -> str:
    """What is not the program's fault, in a line: what a user, a file system or a terminal does not allow."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, UnicodeEncodeError):
        return (
            f"{error.object!a}: no path in this terminal's encoding, {error.encoding}; set LC_ALL=C.UTF-8 or PYTHONUTF8=1, or "
            "rename it"
        )
    if isinstance(error, PermissionError) and error.filename:
        return f"{error.filename}: closed to you ({error.strerror}); have its owner call 'chmod -R a+rX' on it"
    return " ".join(str(error).split("\n"))


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
        for folder in path.parents:
            if present(folder):
                break
            if folder.is_symlink():
                target = folder.readlink()
                raise UserError(
                    f"{key}: {folder} is a link to {target}, which is not there; mount that, or choose another folder"
                )
    except OSError as error:
        raise UserError(f"{key}: {error.strerror}: {str(path)[:60]}…; choose another folder") from None
    except UnicodeEncodeError as error:
        raise UserError(f"{key}: {one_line(error)}") from None
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
