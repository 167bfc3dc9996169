"""Whole files or none, and hashes of what they hold."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which appears at ``path`` when the block ends, all of it and on disk, or not at all.

    It is written beside ``path`` and renamed: a reader, a second writer or a crash never meets half of it. The folder is
    made if need be.

    Raises:
      OSError: it cannot be written; names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())  # mkstemp's files are for their owner alone
        Path(temporary).replace(path)
    except BaseException as problem:
        Path(temporary).unlink()
        if (
            isinstance(problem, OSError) and problem.errno and problem.filename is None
        ):  # a full disk does not say what it was full for
            raise OSError(problem.errno, problem.strerror, str(path)) from None
        raise


@contextmanager
def locked(
    path: Path, wait: Callable[[], None] | None = None, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Holds the lock of the file ``path``, which is made if need be, for the block.

    The operating system frees it when its process ends, however it ends: a lock is never left behind.

    Args:
      wait: called again and again while another process holds it; may raise. None does not wait.
      say: told where the file system has no locks, and nothing is held; None: standard error is.

    Raises:
      BlockingIOError: another process holds it, and it is not waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if wait is None:
                    raise
                wait()
                time.sleep(0.2)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                line = f"{path}: this file system has no locks; let no two processes do the same"
                say(line) if say else print(line, file=sys.stderr)
                break
        yield


def present(path: Path) -> bool:
    """Whether there is such a file or folder.

    ``Path.exists`` says no, in some versions of Python, where it may not look.

    Raises:
      OSError: that cannot be told, as for what is in a folder that is closed to this user.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of all files of a folder, wherever that is.

    Raises:
      OSError: it is not there, or not readable.
    """
    if not path.is_dir():
        return file_sha256(path)
    hashed = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        hashed.update(f"{file.relative_to(path).as_posix()} {file_sha256(file)}\n".encode())
    return hashed.hexdigest()


def arrays_sha256(arrays: Mapping[str, Any]) -> str:
    """SHA-256 over names, types, shapes and values of NumPy arrays."""
    hashed = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        hashed.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hashed.update(array.tobytes())  # in C order, whatever the order in memory
    return hashed.hexdigest()


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, in whatever way.
    """
    import numpy as np  # planning does without

    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # a damaged archive may raise nearly anything: BadZipFile, RuntimeError, TokenError ...
        raise ValueError(str(error).replace("\n", " ") or type(error).__name__) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
