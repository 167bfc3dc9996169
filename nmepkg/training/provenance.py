"""Where a result comes from: versions, device, surroundings, commit, and the time it took."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from nmepkg import surroundings

_PACKAGES = ("nmepkg", "jax", "flax", "optax", "numpy")
_ROOT = Path(__file__).resolve().parents[2]


class Account:
    """What a result took, over all the processes that worked on it.

    A *segment* is what one process did: ``from_step`` on, with which versions, on which device, when and for how long.

    Args:
      matmul_precision: that products of float32 numbers are asked to have; None where there are none.
      about: what else to record.
    """

    def __init__(self, matmul_precision: str | None = None, **about: Any) -> None:
        self._start = time.time()
        self._here = {**about, **environment(matmul_precision)}
        self._from_step = 0
        self._earlier: list[dict[str, Any]] = []

    def resume(self, segments: list[dict[str, Any]], step: int) -> None:
        """Takes over what earlier processes recorded, of which the last came to ``step``."""
        self._earlier, self._from_step = segments, step

    @property
    def spent(self) -> float:
        """Seconds that earlier processes took."""
        return sum(segment["wall_seconds"] for segment in self._earlier)

    def segments(self) -> list[dict[str, Any]]:
        """What every process did, the last of them this one."""
        now = {
            "from_step": self._from_step,
            **self._here,
            "start": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._start)),
            "wall_seconds": round(time.time() - self._start, 3),
        }
        return [*self._earlier, now]

    def provenance(self) -> dict[str, Any]:
        """What this process did, the seconds of all of them, and under ``earlier`` the segments of the others."""
        *earlier, now = self.segments()
        return {**now, "wall_seconds": round(self.spent + now["wall_seconds"], 3), "earlier": earlier}


def environment(matmul_precision: str | None = None) -> dict[str, Any]:
    """Versions of Python and the libraries that a training uses, its device, and the commit of the source.

    With what of its surroundings decides numbers. ``matmul_precision`` is recorded as what the device makes of it.
    """
    device = jax.devices()[0]
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        **{package: version(package) for package in _PACKAGES},
        "platform": device.platform,
        "device": cpu() if device.platform == "cpu" else device.device_kind,
        **surroundings.recorded(device.platform, matmul_precision and products(device, matmul_precision)),
        **commit(),
    }


def products(device: Any, asked: str) -> str:
    """In what a device computes products of float32 numbers, by the ``training.matmul_precision`` that is asked for.

    ``bfloat16_3x`` is the sum of three products of the bfloat16 numbers that a factor is split into.
    """
    if device.platform == "tpu":
        return {"tensorfloat32": "bfloat16_3x"}.get(asked, asked)
    generation = re.match(r"\d+", getattr(device, "compute_capability", ""))  # of NVIDIA; AMD's begin with a letter
    short = device.platform == "gpu" and (generation is None or int(generation[0]) >= 8)
    return "tensorfloat32" if short and asked != "float32" else "float32"


def cpu() -> str:
    """The model of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def commit(root: Path = _ROOT) -> dict[str, Any]:
    """The commit that the source in ``root`` is at: ``git_commit``, ``git_dirty``, and ``git_problem``, why it is not known.

    A repository counts if ``root`` is its top folder and this package is under its control: a copy that was unpacked inside
    somebody's thesis has no commit, whatever that of the thesis is. Files that are not under control count as no change.
    """
    unknown = {"git_commit": None, "git_dirty": None}
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != root.resolve() or not _git(root, "ls-files", "nmepkg/__init__.py"):
            return {**unknown, "git_problem": f"{root} is no repository of its own"}
        return {
            "git_commit": _git(root, "rev-parse", "HEAD"),
            "git_dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
            "git_problem": None,
        }
    except FileNotFoundError:
        return {**unknown, "git_problem": "git is not installed"}
    except subprocess.CalledProcessError as error:
        return {**unknown, "git_problem": " ".join(error.stderr.split())[:200] or f"git ended with {error.returncode}"}
    except (OSError, subprocess.SubprocessError) as error:
        return {**unknown, "git_problem": str(error)}


def _git(root: Path, *arguments: str) -> str:
    # GIT_DIR and its like name a repository whatever the folder is. Who runs another's code may ask for its commit too.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    answer = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "-c", "core.fsmonitor=false", *arguments],
        cwd=root,
        env=clean | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=10,
    )
    return answer.stdout.strip()
