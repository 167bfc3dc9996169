"""The persistent compilation cache: the second run of a shape starts without compiling."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

from nmepkg.files import written_whole


def cpu_fingerprint() -> str:
    """Twelve hex digits that differ between types of CPU: code compiled for one may crash on another."""
    lines = []
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.split(":")[0].strip() in ("model name", "flags", "Features", "CPU part"):
                lines.append(line)
    except OSError:  # not Linux
        lines = [platform.processor()]
    description = "\n".join([platform.system(), platform.machine(), *sorted(set(lines))])
    return hashlib.sha256(description.encode()).hexdigest()[:12]


@contextmanager
def cache(directory: Path | None) -> Iterator[None]:
    """Keeps every compilation of the block, however short, in a folder of this type of CPU under ``directory``.

    JAX writes its entries in place and never replaces one that a killed process left half-written. So it works in a folder of
    this process alone, where what the shared one has is linked, and what is new is published whole when the block ends.

    Args:
      directory: None compiles afresh, and keeps nothing.
    """
    if directory is None:
        yield
        return
    shared = directory / cpu_fingerprint()
    with tempfile.TemporaryDirectory(prefix="nmepkg-jax-") as folder:
        own = Path(folder)
        if shared.is_dir():
            for entry in shared.absolute().glob("[!.]*"):
                own.joinpath(entry.name).symlink_to(entry)
        before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # their folder would be part of every key
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", before)
            publish(own, shared)


def publish(own: Path, shared: Path) -> None:
    """Copies a process's new entries to the shared folder, each whole. A cache that cannot be written is no failure."""
    for entry in own.iterdir():
        if entry.is_symlink() or not entry.is_file() or (shared / entry.name).exists():
            continue
        try:
            with entry.open("rb") as new, written_whole(shared / entry.name) as file:
                shutil.copyfileobj(new, file)
        except OSError as error:
            print(f"{shared}: compiled programs are not kept ({error})", flush=True)
            return
