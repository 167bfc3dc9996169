"""How far a workflow is, told while it works: by runs, as its steps may be packs of several, and at its end what failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from nmepkg.errors import UserError
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.spec import Study
from nmepkg.training.progress import duration
from nmepkg.upkeep.status import status
from nmepkg.upkeep.survey import Seen
from nmepkg.upkeep.terminal import job_name

_EVERY, _FIRST = 30.0, 10.0  # seconds between lines, and to the first
_SHARE = 20  # of the time between two lines at most a twentieth is spent on finding out
_SHOWN = 10


class Looks:
    """Looks at a study, one after another, each reading what is new alone; how fast it goes on is known by them all."""

    def __init__(self, study: Study, expansion: Expansion, store: Store) -> None:
        seen = Seen()
        self._status = lambda: status(study, expansion, store, seen)
        self._first: dict[str, Any] | None = None
        self._last: dict[str, Any] | None = None
        self._when, self._trained = 0.0, 0.0

    def look(self) -> dict[str, Any]:
        """The state of the study, as :func:`nmepkg.upkeep.status.status` has it.

        Raises:
          UserError, OSError: the store cannot be read.
        """
        start, now = time.monotonic(), self._status()
        # While other jobs run than trainings, nothing is learnt of how fast those are.
        if self._last is not None and now["device_hours"]["spent"] > self._last["device_hours"]["spent"]:
            self._trained += start - self._when
        self._first, self._last, self._when = self._first or now, now, start
        return now

    def line(self) -> str:
        """The last look in a line; nothing before there were two, by which it is known how fast things go."""
        if self._first is None or self._last is None or self._first is self._last:
            return ""
        return progress_line(self._last, self._first, self._trained)


class Progress(threading.Thread):
    """Says a line every half minute, if it is another than the last, for as long as the process lives.

    Args:
      say: is called with each line.
      failed: is called with each job that has failed, as :func:`nmepkg.upkeep.status.status` has it, again at each look.
    """

    def __init__(self, looks: Looks, say: Callable[[str], None], failed: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(name="progress", daemon=True)
        self._looks, self._say, self._failed = looks, say, failed

    def run(self) -> None:
        said, pause = "", min(_FIRST, _EVERY)
        while True:
            time.sleep(pause)
            start = time.monotonic()
            with suppress(UserError, OSError):  # the jobs themselves will say what is wrong with the store
                for job in self._looks.look()["failed"]:
                    self._failed(job)
                if (line := self._looks.line()) not in ("", said):
                    self._say(said := line)
            pause = max(_EVERY, _SHARE * (time.monotonic() - start))


def progress_line(now: Mapping[str, Any], first: Mapping[str, Any], trained: float) -> str:
    """``runs: 229 of 262 (2 diverged), 1 running; measured: 40 of 54; drawn: 3 of 10; trainings: about 4 min to go``.

    Args:
      now, first: of a study, as :func:`nmepkg.upkeep.status.status` has it: now and when the workflow began.
      trained: seconds of trainings between the two. What was done in that time says how fast what is left will be.
    """
    runs, figures = now["runs"], now["figures"].values()
    diverged = f" ({runs['diverged']} diverged)" if runs["diverged"] else ""
    others = [f"{runs[kind]} {kind}" for kind in ("running", "stopped", "failed", "damaged") if runs[kind]]
    counts = [f"{runs['done'] + runs['diverged']} of {sum(runs.values())}{diverged}", *others]
    parts = [f"runs: {', '.join(counts)}"]
    for kind, name in (("measurements", "measured"), ("landscapes", "landscapes")):
        done, of = now[kind]["done"], now[kind]["of"]
        failed = sum(kind.removesuffix("s") in job for job in now["failed"])
        if done < of:
            parts.append(f"{name}: {done} of {of}" + (f" ({failed} failed)" if failed else ""))
    parts.append(f"drawn: {sum(figure['drawn'] for figure in figures)} of {len(figures)}")
    hours, then = now["device_hours"], first["device_hours"]
    rate = (hours["spent"] - then["spent"]) / trained if trained else 0.0
    if hours["to_go"] and rate > 0:
        about = "more than" if hours["unknown_runs"] or now["estimates"] else "about"
        parts.append(f"trainings: {about} {duration(hours['to_go'] / rate)} to go")
    return "; ".join(parts)


def what_failed(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines on a study's jobs that failed, with their logs, and its figures that are not drawn."""
    failed = found["failed"]
    for run in failed[:_SHOWN]:
        yield f"failed: {job_name(run)}: {run['problem']}; log: {run['log']}"
    if len(failed) > _SHOWN:
        yield f"failed: {len(failed) - _SHOWN} more; see: python -m nmepkg status"
    missing = [name for name, figure in found["figures"].items() if not figure["drawn"]]
    if missing:
        yield f"not drawn: {', '.join(missing)}"
