"""The persistent compilation cache's folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from nmepkg.training.compilation import cpu_fingerprint, enable_cache

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
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


@pytest.mark.usefixtures("options")
def test_cache_is_a_folder_of_this_cpu_and_keeps_everything(tmp_path: Path) -> None:
    enable_cache(tmp_path)
    assert [getattr(jax.config, name) for name in OPTIONS] == [str(tmp_path / cpu_fingerprint()), 0.0, -1]
