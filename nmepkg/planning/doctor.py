"""What a job here would compute with and on, and what of it is unusual: for who wonders about a result, and for bug reports."""

from __future__ import annotations

import json
import locale
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nmepkg import surroundings
from nmepkg.errors import UserError
from nmepkg.files import locked
from nmepkg.planning.environment import check_versions
from nmepkg.planning.shell import check_jax_starts, check_shell

_PACKAGES = (
    "nmepkg",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scipy",
    "snakemake",
    "matplotlib",
    "pandas",
)
_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "fuse.", "9p", "afs", "gluster", "panfs", "pvfs")
_LITTLE = 2.0  # GB of free disk

# In a process of its own, begun as a job is: this one may have imported anything.
_JAX = """
import json, os, sys
import jax
from nmepkg import numerics
from nmepkg.training import provenance
devices = [f"{d.platform}: {d.device_kind}" for d in jax.devices()]
print(json.dumps({"devices": devices, "settings": numerics.SETTINGS, "origin": provenance.environment()}))
"""


def examine(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Versions, machine, devices, settings and folders, and under ``unusual`` a line for everything that may surprise.

    Args:
      folders: what each is for -> folder that jobs write to; it need not be there yet.
    """
    unusual: list[str] = []
    found: dict[str, Any] = {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "machine": {
            "system": platform.platform(),
            "cores": surroundings.threads({}),
            "memory_gb": _memory(),
            "encoding": locale.getpreferredencoding(False),
        },
    }
    for check in (check_versions, check_shell, lambda: check_jax_starts(here=True)):
        try:
            check()
        except UserError as problem:
            unusual.append(str(problem))
    found |= _started(unusual)
    left_out = surroundings.left_out(os.environ)
    recorded = surroundings.set_and_recorded()
    found["variables"] = {"recorded": recorded, "left_out": {name: os.environ[name] for name in left_out}}
    unusual += [f"{name} is set: jobs compute without it" for name in left_out]
    unusual += [f"{name}={value}: numbers may differ by it; results record it" for name, value in recorded.items()]
    found["folders"] = {name: _folder(name, path, unusual) for name, path in folders.items()}
    return {**found, "unusual": unusual}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What :func:`examine` found, as text."""
    for part in ("versions", "machine", "devices", "settings", "origin", "variables", "folders"):
        yield f"{part}:"
        content = found[part]
        pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
        for name, value in pairs:
            if part == "origin" and name in found["versions"]:
                continue
            inner = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, Mapping) else value
            yield f"  {name}: {'-' if inner in (None, '') else inner}"
    yield "unusual:" if found["unusual"] else "unusual: nothing"
    yield from (f"  {line}" for line in found["unusual"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def _started(unusual: list[str]) -> dict[str, Any]:
    """Devices and settings of JAX, and what a result computed here would record."""
    nothing: dict[str, Any] = {"devices": [], "settings": {}, "origin": {}}
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-c", _JAX]
    try:
        done = subprocess.run(
            command,
            env={**surroundings.of_jobs(), "PYTHONPATH": path},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        unusual.append("JAX has not started after two minutes")
        return nothing
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it says nothing")
        unusual.append(f"JAX does not start here: {last.strip()[:200]}")
        return nothing
    started: dict[str, Any] = json.loads(done.stdout)
    if problem := started["origin"].get("git_problem"):
        unusual.append(f"results will not say of which commit they are: {problem}")
    if started["origin"].get("git_dirty"):
        unusual.append("files under version control have been edited since the last commit")
    return started


def _folder(name: str, path: Path, unusual: list[str]) -> dict[str, Any]:
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    kind, free = _file_system(there.resolve(), _mounts()), shutil.disk_usage(there).free / 1e9
    writable = os.access(there, os.W_OK | os.X_OK)
    locks = _has_locks(there) if writable else None
    if path.is_symlink() and not path.exists():
        unusual.append(f"{name}: {path} is a link to {path.readlink()}, which is not there")
    if not writable:
        unusual.append(f"{name}: {there} is not writable")
    if locks is False:
        unusual.append(f"{name}: {there} is on a file system without locks; let no two processes do the same there")
    if kind.startswith(_NETWORK):
        unusual.append(f"{name}: {there} is on a network file system ({kind}); trainings are slower to start there")
    if free < _LITTLE:
        unusual.append(f"{name}: {free:.1f} GB are free at {there}")
    return {"path": str(path), "file system": kind, "free GB": round(free, 1), "writable": writable, "locks": locks}


def _has_locks(folder: Path) -> bool:
    """Whether a file there can be locked."""
    said: list[str] = []
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".nmepkg-doctor-") as own,
        locked(Path(own, "lock"), say=said.append),
    ):
        return not said


def _mounts() -> list[tuple[str, str]]:
    """(folder, kind) of the file systems of this machine."""
    try:
        rows = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return []
    return [(row.split()[1].replace("\\040", " "), row.split()[2]) for row in rows]


def _file_system(folder: Path, mounts: Iterable[tuple[str, str]]) -> str:
    """The kind of the file system that a folder is on: that of the longest mount above it."""
    above = [(len(place), kind) for place, kind in mounts if folder.is_relative_to(place)]
    # Of several mounts on one place, the last one is seen.
    longest = max((length for length, _ in above), default=None)
    return next((kind for length, kind in reversed(above) if length == longest), "unknown")
