"""Where a result comes from: versions, device, commit."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ("nmepkg", "jax", "flax", "optax", "numpy")


def provenance() -> dict[str, Any]:
    """Versions of Python and the libraries that a training uses, its device, and the commit of the source, if it has one."""
    device = jax.devices()[0]
    commit = _git("rev-parse", "HEAD")
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        **{package: version(package) for package in _PACKAGES},
        "platform": device.platform,
        "device": device.device_kind,
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):  # no git, or installed outside a repository
        return None
    return answer.stdout.strip()
