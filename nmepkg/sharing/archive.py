"""Archives of results: a tar compressed by xz, whose first file says what every other one is.

Nothing of an archive is believed before all of it is what its manifest says, and nothing is ever unpacked by name: whoever
reads one is handed regular files under names that a store has, in the manifest's order, and everything else is refused.

The same content gives the same bytes: no times, no users, one order. xz, as results are much alike: those of the default study
take 0.6 MB, by gzip 0.7 MB, and in a zip, which compresses each by itself, 1.2 MB. (zstd is no part of Python before 3.14.)
"""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.files import file_sha256, present, written_whole
from nmepkg.records import Kind

KIND = Kind("archive", 1, "get it again from where it is from")
MANIFEST, STUDY, README = "manifest.json", "study.yaml", "README.txt"
_MOST = 1 << 28  # bytes of what is read at once: of a manifest, that of a million files
_XZ = b"\xfd7zXZ\x00"  # its first bytes
_CHUNK = 1 << 20
_ID = r"\w[\w.+-]*-[0-9a-f]{12}"
_NAME = re.compile(
    rf"""study\.yaml | README\.txt | code/[0-9a-f]{{16}}\.json
    | runs/{_ID}/(result\.json | params\.npz | snapshots/\d{{1,15}}\.npz)
    | measurements/{_ID}/{_ID}\.json | landscapes/{_ID}\.npz
    | claims/[0-9a-f]{{12}}/(look|declared)-[0-9a-f]{{12}}\.json""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class File:
    """What a manifest says of a file."""

    size: int
    sha256: str


def write(path: Path, description: Mapping[str, Any], files: Mapping[str, Path | bytes], *, fast: bool = False) -> None:
    """Writes an archive, whole or not at all.

    Args:
      description: what the manifest says besides its ``files``.
      files: name in the archive -> where its content is, or that itself; in the order in which they are written.
      fast: compress little, as for arrays, which hardly get smaller.

    Raises:
      OSError: a file changed meanwhile, or cannot be read or written.
      UserError: what is there is no archive.
    """
    if present(path) and path.is_file():
        with path.open("rb") as there:
            if there.read(len(_XZ)) != _XZ:
                raise UserError(f"{path}: is there, and no archive; name another file")
    stated = {name: _stated(content) for name, content in files.items()}
    manifest = {"format": KIND.format, **description}
    manifest["files"] = {name: [file.size, file.sha256] for name, file in stated.items()}
    text = records.seal(manifest).encode()
    with (
        written_whole(path) as raw,
        lzma.open(raw, "wb", preset=0 if fast else 6) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
        for name, content in files.items():
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
                reading = _Hashed(file)
                tar.addfile(_member(name, stated[name].size), reading)
                if reading.sha256 != stated[name].sha256:
                    raise OSError(0, "changed while it was exported; call export again", str(content))


def _stated(content: Path | bytes) -> File:
    if isinstance(content, bytes):
        return File(len(content), hashlib.sha256(content).hexdigest())
    return File(content.stat().st_size, file_sha256(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # of no time and no user
    member.size = size
    return member


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        self._hash.update(found)
        return found

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def manifest_of(path: Path) -> dict[str, Any]:
    """What an archive says of itself; the rest of it is not looked at.

    Raises:
      DamagedError: it is no archive of ours, is damaged, or of another format.
      UserError: it cannot be read.
    """
    with _opened(path) as tar:
        return _manifest(path, tar)


def files_of(manifest: Mapping[str, Any]) -> dict[str, File]:
    """Name -> what a manifest says of a file, in the archive's order."""
    return {name: File(*stated) for name, stated in manifest["files"].items()}


def contents(path: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Every file of an archive, in order: its name, and its content in pieces, which raise if they are not what was stated.

    Args:
      manifest: of this archive, as :func:`manifest_of` read it: that of another one that has taken its place is refused.

    Raises:
      DamagedError: anything is not what the manifest says, or more or less than that.
    """
    with _opened(path) as tar:
        if _manifest(path, tar) != manifest:
            raise KIND.refuse(path, "another one than a moment ago")
        for name, stated in files_of(manifest).items():
            member = tar.next()
            if member is None:
                raise KIND.refuse(path, f"truncated: {name} is missing")
            if member.name != name:
                raise KIND.refuse(path, f"not in the order of its manifest: {member.name!r} is where {name} should be")
            yield name, _content(path, tar, member, stated)
        if (more := tar.next()) is not None:
            raise KIND.refuse(path, f"more than its manifest says: {more.name!r}")


def _content(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, stated: File) -> Iterator[bytes]:
    if not member.isreg():
        raise KIND.refuse(path, f"not of files alone: {member.name} is a link, a device or a folder")
    if member.size != stated.size:
        raise KIND.refuse(path, f"changed: {member.name} has {member.size} bytes, and had {stated.size}")
    file = tar.extractfile(member)
    assert file is not None, member.name
    reading = _Hashed(file)
    while True:
        with _damage(path):
            piece = reading.read(_CHUNK)
        if not piece:
            break
        yield piece
    if reading.sha256 != stated.sha256:
        raise KIND.refuse(path, f"changed since it was written: the sha256 of {member.name} does not match")


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar to be read from its beginning to its end."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the name of the file") from None
    with (
        raw,
        _damage(path),
        lzma.open(raw, "rb") as packed,
        tarfile.open(fileobj=packed, mode="r|") as tar,
    ):
        yield tar


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Makes one line of whatever a damaged file raises."""
    try:
        yield
    except (lzma.LZMAError, tarfile.TarError, EOFError, OverflowError, ValueError) as error:
        raise KIND.refuse(path, f"truncated, damaged, or no archive of results ({error})") from None


def _manifest(path: Path, tar: tarfile.TarFile) -> dict[str, Any]:
    member = tar.next()
    if member is None or member.name != MANIFEST or not member.isreg() or member.size > _MOST:
        raise KIND.refuse(path, f"no archive of results: {MANIFEST} is not its first file")
    file = tar.extractfile(member)
    assert file is not None
    try:
        manifest = records.unseal(file.read().decode("utf-8"))
    except ValueError as error:
        raise KIND.refuse(path, f"damaged: its manifest is {error}") from None
    found = manifest.get("format")
    if isinstance(found, int) and found > KIND.format:
        raise Kind(KIND.name, KIND.format, "update nmepkg").refuse(
            path, f"of format {found}, and this version reads up to {KIND.format}"
        )
    records.check(path, KIND, manifest, {})
    match manifest.get("study"):
        case {"file": str(_), "overrides": dict(_)}:
            pass
        case _:
            raise KIND.refuse(path, "without a study")
    _check_names(path, manifest)
    return manifest


def _check_names(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuses names that no store has, and a result that comes before its files: where that is, the rest has to be."""
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise KIND.refuse(path, "without a list of its files")
    finished = set()
    for name, stated in files.items():
        if not _NAME.fullmatch(name):
            raise KIND.refuse(path, f"with a file that no store has: {name!r}")
        match stated:
            case [int(size), str(_)] if 0 <= size <= (_MOST if name.endswith(".json") else 1 << 50):
                pass
            case _:
                raise KIND.refuse(path, f"without size and hash of {name}")
        section, _, rest = name.partition("/")
        run = rest.partition("/")[0]
        if section == "runs" and run in finished:
            raise KIND.refuse(path, f"with the result of {run} before its files")
        if section == "runs" and name.endswith("/result.json"):
            finished.add(run)
