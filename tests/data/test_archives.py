"""Archives as published: found, checked, and mended where their header was dropped."""

from __future__ import annotations

import gzip
import hashlib
import io
from pathlib import Path

import pytest

from nmepkg.data import archives
from nmepkg.errors import UserError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


def refusal(folder: Path, sums: dict[str, str], into: Path) -> str:
    with pytest.raises(UserError) as caught:
        archives.provide(folder, sums, into)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_published_archive_is_linked_to(tmp_path: Path, into: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"published")
    archives.provide(tmp_path, {"a.tar.gz": sha256(b"published")}, into)
    assert (into / "a.tar.gz").read_bytes() == b"published"
    assert (into / "a.tar.gz").is_symlink()


def packed(content: bytes, name: str, time: int) -> bytes:
    """As the gzip command packs a file: its header has name and time, and says Unix."""
    file = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=file, mtime=time) as archive:
        archive.write(content)
    raw = bytearray(file.getvalue())
    raw[8:10] = b"\x00\x03"
    return bytes(raw)


def test_a_header_without_name_and_time_is_completed(tmp_path: Path, into: Path) -> None:
    name, time = "t10k-labels-idx1-ubyte", 1504176627
    published = packed(b"labels", name, time)
    assert published[3] == 8  # has a name
    nameless = bytearray(published[:10] + published[10 + len(name) + 1 :])
    nameless[3:8] = bytes(5)
    (tmp_path / f"{name}.gz").write_bytes(nameless)
    assert gzip.decompress(bytes(nameless)) == b"labels"
    archives.provide(tmp_path, {f"{name}.gz": sha256(published)}, into)
    assert (into / f"{name}.gz").read_bytes() == published


def test_missing(tmp_path: Path, into: Path) -> None:
    message = refusal(tmp_path, {"a.gz": "0", "b.gz": "1", "c.gz": "2"}, into)
    assert message == f"{tmp_path}/a.gz: no such file; this folder has to hold a.gz, b.gz and c.gz, as downloaded"


@pytest.mark.parametrize("name", ["a.tar.gz", "t10k-labels-idx1-ubyte.gz"])
@pytest.mark.parametrize("keep", [0, 5, 20])
def test_truncated(tmp_path: Path, into: Path, name: str, keep: int) -> None:
    whole = packed(b"labels" * 9, name.removesuffix(".gz"), 1504176627)
    (tmp_path / name).write_bytes(whole[:keep])
    message = refusal(tmp_path, {name: sha256(whole)}, into)
    assert message == (
        f"{tmp_path / name}: not the published archive, or damaged (its SHA-256 is not {sha256(whole)}); download it again"
    )
    assert not list(into.iterdir())
