"""What an unfinished training is doing, in a small file beside its results-to-be, for ``python -m nmepkg status``."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.storage import STATE

_EVERY = 10.0  # seconds


class Journal:
    """Keeps ``state.json`` of a run up to date: at its start, every ten seconds, and when it ends before its end.

    Args:
      path: of the file.
      run: whose it is.
      epochs: of the whole training.

    Attributes:
      spent: seconds that earlier processes spent on it.
    """

    def __init__(self, path: Path, run: str, epochs: int) -> None:
        self._path, self._run, self._epochs, self.spent = path, run, epochs, 0.0
        self._epoch = 0
        self._left: float | None = None
        self._first: int | None = None
        self._start = self._written = time.monotonic()

    def __call__(self, epoch: int, row: Any) -> None:
        """Notes that ``epoch`` is done."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._start = epoch, now
        elapsed, self._epoch = now - self._start, epoch
        self._left = elapsed / (epoch - self._first) * (self._epochs - epoch) if epoch > self._first else None
        if epoch == self._first or now - self._written >= _EVERY:
            self.write("running")

    def write(self, status: str, error: str | None = None) -> None:
        """Writes the file: ``running``, ``stopped`` (it may go on) or ``failed`` with its error."""
        self._written = time.monotonic()
        content = {
            "run": self._run,
            "status": status,
            "epoch": self._epoch,
            "epochs": self._epochs,
            "seconds": round(self.spent + self._written - self._start, 1),
            "left_seconds": None if self._left is None else round(self._left, 1),
            "updated": round(time.time(), 1),
            "memory_mb": int(os.environ.get("SLURM_MEM_PER_NODE", 0)) or None,  # that a job was given
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "error": error,
        }
        records.write(self._path, STATE, content)
