"""The persistent compilation cache: a folder a type of CPU, that processes share and none can spoil."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import pytest

from nmepkg.training.compilation import cache, cpu_fingerprint

ROOT = Path(__file__).parents[2]

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_persistent_cache_enable_xla_caches",
)


@pytest.fixture
def options() -> Iterator[None]:
    before = {name: getattr(jax.config, name) for name in OPTIONS}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def cpuinfo(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    return cpu_fingerprint()


def test_fingerprint_is_that_of_the_type_of_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the number of cores nor their clock counts; model and instruction set do."""
    one = "processor : 0\nmodel name : A\ncpu MHz : 1000\nflags : sse avx\n"
    first = cpuinfo(monkeypatch, one)
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert cpuinfo(monkeypatch, one + "\n" + one.replace("1000", "2222").replace(": 0", ": 1")) == first
    assert cpuinfo(monkeypatch, one.replace(": A", ": B")) != first
    assert cpuinfo(monkeypatch, one.replace("avx", "avx2")) != first


def test_fingerprint_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr("platform.processor", lambda: "A")
    first = cpu_fingerprint()
    monkeypatch.setattr("platform.processor", lambda: "B")
    assert cpu_fingerprint() != first


# What a block of the cache does with its folders, without compiling anything.

OLD, NEW, ONE, MINE = (zlib.compress(text) for text in (b"old", b"new", b"one", b"mine"))


@contextmanager
def caching(directory: Path) -> Iterator[Path]:
    """A block of the cache, and the folder that JAX works in."""
    with cache(directory):
        yield Path(str(jax.config.jax_compilation_cache_dir))


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder that processes share, with one entry."""
    shared = tmp_path / cpu_fingerprint()
    shared.mkdir()
    (shared / "old-cache").write_bytes(OLD)
    return shared


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """What changes if a file of a folder is written to or replaced."""
    return {path.name: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.usefixtures("options")
def test_everything_is_kept_in_a_folder_of_this_cpu(tmp_path: Path) -> None:
    with caching(tmp_path / "new") as own:
        assert [getattr(jax.config, name) for name in OPTIONS] == [str(own), 0.0, -1, "none"]
        (own / "one-cache").write_bytes(ONE)
        assert not (tmp_path / "new").exists()
    assert contents(tmp_path / "new" / cpu_fingerprint()) == {"one-cache": ONE}
    assert jax.config.jax_compilation_cache_dir is None
    assert not own.exists()


@pytest.mark.usefixtures("options")
def test_entries_that_there_are_can_be_read_and_new_ones_are_published_at_the_end(tmp_path: Path, shared: Path) -> None:
    (shared / ".half-cache.x1y2").write_bytes(b"ha")  # of a process that is publishing it, or was killed
    before = contents(shared)
    with caching(tmp_path) as own:
        assert contents(own) == {"old-cache": OLD}
        assert (own / "old-cache").resolve() == (shared / "old-cache").resolve()  # and no copy
        (own / "new-cache").write_bytes(NEW)
        assert contents(shared) == before
    assert contents(shared) == {**before, "new-cache": NEW}


@pytest.mark.usefixtures("options")
def test_a_relative_folder_is_linked_too(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shared.parent.parent)
    with caching(Path(shared.parent.name)) as own:
        assert contents(own) == {"old-cache": OLD}


@pytest.mark.usefixtures("options")
def test_no_entry_is_replaced(tmp_path: Path, shared: Path) -> None:
    with caching(tmp_path) as own:
        (own / "old-cache").unlink()
        for name in ("old-cache", "new-cache"):
            (own / name).write_bytes(MINE)
        (shared / "new-cache").write_bytes(b"of another process, meanwhile")
        before = files(shared)
    assert files(shared) == before


@pytest.mark.usefixtures("options")
def test_what_was_compiled_before_an_error_is_kept(tmp_path: Path, shared: Path) -> None:
    def fail() -> None:
        with caching(tmp_path) as own:
            (own / "new-cache").write_bytes(NEW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(shared) == {"old-cache": OLD, "new-cache": NEW}
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.usefixtures("options")
def test_an_entry_is_published_whole_or_not_at_all(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_the_disk(handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fill_the_disk)
    with caching(tmp_path) as own:
        (own / "new-cache").write_bytes(NEW)
    assert contents(shared) == {"old-cache": OLD}  # and no temporary file
    assert capsys.readouterr().out == f"{shared}: compiled programs are not kept (no space left)\n"


@pytest.mark.usefixtures("options")
def test_what_a_full_disk_has_cut_off_is_not_published(tmp_path: Path, shared: Path) -> None:
    with caching(tmp_path) as own:
        (own / "new-cache").write_bytes(NEW)
        (own / "cut-cache").write_bytes(MINE[:-1])
        (own / "empty-cache").write_bytes(b"")
        (own / "zstd-cache").write_bytes(b"\x28\xb5\x2f\xfd and what is no frame")
    assert contents(shared) == {"old-cache": OLD, "new-cache": NEW}


@pytest.mark.usefixtures("options")
def test_without_room_for_a_folder_of_its_own_it_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**options: str) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    with cache(tmp_path / "new"):
        assert jax.config.jax_compilation_cache_dir is None
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("options")
def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")  # to root, no folder is
    with caching(tmp_path / "file") as own:
        (own / "new-cache").write_bytes(NEW)
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'file' / cpu_fingerprint()}: compiled programs are not kept (")
    assert said.count("\n") == 1
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.usefixtures("options")
def test_without_a_folder_nothing_is_kept() -> None:
    before = [getattr(jax.config, name) for name in OPTIONS]
    with cache(None):
        assert [getattr(jax.config, name) for name in OPTIONS] == before


# What processes that compile do.

COMPILES = """
import collections, os, signal, sys
from pathlib import Path
import jax
import numpy as np
from nmepkg.training.compilation import cache

seen = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: seen.update([event.rpartition("/")[2]]))
folder, ending, *sizes = sys.argv[1:]
with cache(Path(folder)):
    for size in map(int, sizes):
        jax.jit(lambda x: x @ x + size)(np.ones((size, size), np.float32)).block_until_ready()
    if ending == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
print(seen["cache_hits"], seen["cache_misses"])
"""


def compiles(folder: Path, *sizes: int, killed: bool = False, flags: str = "") -> tuple[int, int] | None:
    """(programs found, programs compiled) by a process that needs one for each size; None if it was killed."""
    temporary = folder.parent / "tmp"  # where a killed process leaves its own folder
    temporary.mkdir(exist_ok=True)
    process = subprocess.run(
        [sys.executable, "-c", COMPILES, str(folder), "killed" if killed else "ends", *map(str, sizes)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary), "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {flags}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if killed:
        assert process.returncode == -signal.SIGKILL, process.stderr
        return None
    assert (process.returncode, process.stderr) == (0, "")
    found, compiled = map(int, process.stdout.split())
    return found, compiled


def test_processes_share_what_they_compile_and_a_killed_one_shares_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    compiles(folder, 2, killed=True)
    assert not folder.exists()
    assert compiles(folder, 2) == (0, 1)
    (shared,) = folder.iterdir()
    before = files(shared)
    assert len(before) == 1
    compiles(folder, 2, 3, killed=True)
    assert compiles(folder, 2) == (1, 0)
    assert files(shared) == before
    assert compiles(folder, 2, 3) == (1, 1)
    assert compiles(folder, 3, 2) == (2, 0)
    assert len(list(shared.iterdir())) == 2
    # Programs of other flags are others.
    fused = "--xla_cpu_experimental_ynn_fusion_type=reduce"
    assert compiles(folder, 2, flags=fused) == (0, 1)
    assert compiles(folder, 2, flags=fused) == (1, 0)
