from __future__ import annotations

import errno
import hashlib
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nmepkg.files import arrays_sha256, file_sha256, locked, written_whole

ROOT = Path(__file__).parents[1]


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


def test_a_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


Arrays = dict[str, np.ndarray]


@pytest.fixture
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    return {
        "train_x": rng.normal(size=(20, 3)).astype(np.float32),
        "train_y": np.arange(20, dtype=np.int32) % 4,
        "test_x": rng.normal(size=(6, 3)).astype(np.float32),
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a | {"train_x": a["train_x"] + np.float32(1e-6)},
        lambda a: a | {"train_x": a["train_x"].astype(np.float64)},
        lambda a: a | {"train_x": a["train_x"].reshape(10, 6)},
        lambda a: a | {"train_y": a["train_y"][::-1]},
        lambda a: a | {"test_x": a["train_x"], "train_x": a["test_x"]},
    ],
    ids=["value", "type", "shape", "order", "names"],
)
def test_a_hash_of_arrays_sees_every_change(change: Callable[[Arrays], Arrays], arrays: Arrays) -> None:
    assert arrays_sha256(change(arrays)) != arrays_sha256(arrays)
    copies = {name: np.asfortranarray(arrays[name]) for name in reversed(arrays)}
    assert arrays_sha256(copies) == arrays_sha256(arrays)  # but neither order of names nor memory layout


# Locks, of which another process holds one.

HOLDER = """
import sys, time
from pathlib import Path
from nmepkg.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
print("freed", flush=True)
time.sleep(60)
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it is written to, and lives on."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def held(path: Path) -> bool:
    try:
        with locked(path):
            return False
    except BlockingIOError:
        return True


def test_a_lock_excludes_other_processes_until_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with holder(path) as process:
        assert held(path)
        assert process.stdin is not None
        assert process.stdout is not None
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "freed\n"
        assert not held(path)
        assert process.poll() is None


def test_a_lock_is_free_after_an_error_in_its_block(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path / "lock"):
            assert held(tmp_path / "lock")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not held(tmp_path / "lock")


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        assert held(tmp_path / "lock")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not held(tmp_path / "lock")


def test_waiting_for_a_lock_ends_when_it_is_free(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        calls = []

        def wait() -> None:
            calls.append(held(tmp_path / "lock"))
            if len(calls) == 3:
                process.kill()
                process.wait()

        with locked(tmp_path / "lock", wait):
            assert held(tmp_path / "lock")
        assert calls == [True, True, True]


def test_waiting_for_a_lock_may_be_given_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise TimeoutError("given up")

    with holder(tmp_path / "lock"):
        with pytest.raises(TimeoutError, match="given up"), locked(tmp_path / "lock", give_up):
            raise AssertionError("it has the lock of another process")
        assert held(tmp_path / "lock")


def test_a_lock_that_is_free_is_not_waited_for(tmp_path: Path) -> None:
    def wait() -> None:
        raise AssertionError("waits")

    with locked(tmp_path / "lock", wait):
        assert held(tmp_path / "lock")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    with pytest.raises(OSError, match=r"No space left on device: '.*thing\.json'"), written_whole(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
