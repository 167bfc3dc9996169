"""Fixtures for every test."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version

from packaging.version import Version

# Before JAX is imported. Tests compile thousands of tiny programs and run each once, so what counts is how long XLA compiles:
# with these flags a third of what it takes with none. Several processes share the cores.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_parallel_codegen_split_count=1"
    # Later ones end the process at a flag that they do not know.
    + (" --xla_cpu_use_fusion_emitters=false" if Version(version("jaxlib")) < Version("0.11.1") else ""),
)
os.environ.setdefault("NPROC", "1")

import jax
import pytest

from nmepkg import extensions, registry

# Tracing makes cycles by the million, none of them large, and looks for garbage between: among all that was imported, too, and
# again and again. So that is looked through once, and the rest seldom: a fifth of the time of what traces most.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


# What a shell starts in the background ignores an interrupt, and so would all that tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def strict_promotion() -> Iterator[None]:
    """Ranks and types of two arrays agree, or are made to: what is broadcast or promoted by itself hides mistakes."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision for one test, as the oracles need it."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


@pytest.fixture
def no_extension_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers, by loading a study that has extensions, is gone after it."""
    for section in extensions.SECTIONS:
        known = getattr(registry, section)
        for name in known:
            monkeypatch.setitem(known, name, known[name])
        monkeypatch.setattr(registry, section, known)
    before = {section: dict(getattr(registry, section)) for section in extensions.SECTIONS}
    for state in ("packages", "registering", "_owners"):
        monkeypatch.setattr(extensions, state, type(getattr(extensions, state))())
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for section, entries in before.items():
        known = getattr(registry, section)
        known.clear()
        known.update(entries)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("theirs", "single", "mylab")]:
        del sys.modules[name]
