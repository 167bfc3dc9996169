"""Progress of a training, for a terminal or a log."""

from __future__ import annotations

import time
from typing import Any, TextIO


class Progress:
    """Writes one line that every epoch rewrites on a terminal; into a log, a line every ten seconds and an evaluation.

    Args:
      epochs: of the whole training.
      stream: where to write.
    """

    def __init__(self, epochs: int, stream: TextIO) -> None:
        self._epochs, self._stream = epochs, stream
        self._terminal = stream.isatty()
        self._start = self._written = time.monotonic()

    def __call__(self, epoch: int, row: dict[str, Any] | None) -> None:
        """Reports that ``epoch`` is done, with its evaluation if there was one."""
        if epoch == 0:
            self._start = time.monotonic()  # compilation of the step comes later: the first estimates are high
        now = time.monotonic()
        if not self._terminal and row is None and now - self._written < 10:
            return
        self._written = now
        elapsed = now - self._start
        left = f"ETA {duration(elapsed / epoch * (self._epochs - epoch))}" if epoch else "starting"
        line = f"epoch {epoch}/{self._epochs}, {duration(elapsed)} elapsed, {left}"
        if row is not None:
            self._accuracies = ", ".join(
                f"{name} {100 * row[f'{name}_accuracy']:.1f} %"
                for name in ("train", "validation", "test")
                if row[f"{name}_accuracy"] is not None
            )
        line += f", accuracy: {self._accuracies}"
        self._stream.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        if self._terminal and epoch == self._epochs:
            self._stream.write("\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """``40 s``, ``1 min 40 s``, ``12 min``, ``1 h 05 min`` or ``1,250 h``: as exact as anybody wants to know."""
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    if round(seconds) < 600:
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 10:
        return f"{round(seconds / 3600):,} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
