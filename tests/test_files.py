import stat
from pathlib import Path

import pytest

from nmepkg.files import written_whole


def _write(path: Path, *parts: bytes) -> None:
    with written_whole(path) as file:
        for part in parts:
            file.write(part)


def test_content_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.csv"
    _write(path, b"one")
    _write(path, b"t", b"wo")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    _write(path, b"old")
    with pytest.raises(TypeError):
        _write(path, b"new", "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    _write(tmp_path / "whole", b"")
    (tmp_path / "plain").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("whole", "plain")]
    assert modes[0] == modes[1]
