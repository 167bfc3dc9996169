"""Where a result comes from: versions, device, commit, and the time it took."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ("nmepkg", "jax", "flax", "optax", "numpy")


class Account:
    """What a result took, over all the processes that worked on it.

    A *segment* is what one process did: ``from_step`` on, with which versions, on which device, when and for how long.

    Args:
      about: what else to record.
    """

    def __init__(self, **about: Any) -> None:
        self._start = time.time()
        self._here = {**about, **environment()}
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


def environment() -> dict[str, Any]:
    """Versions of Python and the libraries that a training uses, its device, and the commit of the source, if it has one."""
    device = jax.devices()[0]
    commit = _git("rev-parse", "HEAD")
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        **{package: version(package) for package in _PACKAGES},
        "platform": device.platform,
        "device": _cpu() if device.platform == "cpu" else device.device_kind,
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _cpu() -> str:
    """The model of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):  # no git, or installed outside a repository
        return None
    return answer.stdout.strip()
