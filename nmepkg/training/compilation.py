"""The persistent compilation cache: the second run of a shape starts without compiling."""

from __future__ import annotations

import hashlib
import platform
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, cast

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

    JAX writes its entries in place and never replaces one that a killed process, or a full disk, left half-written. So it works
    in a folder of this process alone, where what the shared one has is linked, and what is new and whole is published when the
    block ends.

    Args:
      directory: None compiles afresh, and keeps nothing.
    """
    if directory is None:
        yield
        return
    shared = directory / cpu_fingerprint()
    with ExitStack() as kept:
        try:
            own = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="nmepkg-jax-")))
        except OSError as error:
            print(f"compiled programs are not kept: {' '.join(str(error).split())}", flush=True)
            yield
            return
        if shared.is_dir():
            for entry in shared.absolute().glob("[!.]*"):
                with suppress(OSError):  # compiled once more where there is no room for a link
                    own.joinpath(entry.name).symlink_to(entry)
        before = cast(Any, jax.config).jax_compilation_cache_dir  # not every version's types have it
        jax.config.update("jax_compilation_cache_dir", str(own))
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
            compiled = entry.read_bytes()
            if is_whole(compiled):
                with written_whole(shared / entry.name) as file:
                    file.write(compiled)
        except OSError as error:
            print(f"{shared}: compiled programs are not kept ({error})", flush=True)
            return


def is_whole(entry: bytes) -> bool:
    """Whether an entry of JAX's cache can be unpacked: of one that a full disk has cut off, the end is missing.

    JAX packs by zstd where Python or the package ``zstandard`` has it, else by zlib.
    """
    try:
        if entry.startswith(b"\x28\xb5\x2f\xfd"):  # a frame of zstd
            _zstd_decompress(entry)
        else:
            zlib.decompress(entry)
    except Exception:  # each library has errors of its own
        return False
    return True


def _zstd_decompress(entry: bytes) -> bytes:
    try:
        zstd = import_module("compression.zstd")  # from Python 3.14 on
    except ModuleNotFoundError:
        zstd = import_module("zstandard")
    return zstd.decompress(entry)
