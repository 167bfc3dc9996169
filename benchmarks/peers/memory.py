"""The memory that a call takes."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SELF = Path("/proc/self")


def peak(program: Callable[[], Any]) -> float:
    """Bytes: the peak of the process's resident set during a call, above what it has before. Linux and glibc alone."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(
        0
    )  # what is free goes back, or the call would find it there and seem to need none
    (_SELF / "clear_refs").write_text("5", encoding="utf-8")  # the peak is that from now on
    before = _bytes("VmRSS")
    program()
    return max(_bytes("VmHWM") - before, 0.0)


def _bytes(name: str) -> float:
    lines = (_SELF / "status").read_text(encoding="utf-8").splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return 1024.0 * float(found)
