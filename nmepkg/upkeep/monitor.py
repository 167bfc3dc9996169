"""How far a workflow is, told while it works: by runs, as its steps may be packs of several, and at its end what failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nmepkg.errors import UserError
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.spec import Study
from nmepkg.training.progress import duration
from nmepkg.upkeep.status import status
from nmepkg.upkeep.terminal import job_name

_EVERY = 30.0  # seconds
_SHARE = 20  # of the time between two lines at most a twentieth is spent on finding out
_SHOWN = 10


class Progress(threading.Thread):
    """Says a line every half minute, if it is another than the last, for as long as the process lives.

    Args:
      say: is called with each line.
    """

    def __init__(self, study: Study, expansion: Expansion, store: Store, say: Callable[[str], None]) -> None:
        super().__init__(name="progress", daemon=True)
        self._status = lambda: status(study, expansion, store)
        self._say = say

    def run(self) -> None:
        start, said, pause = time.monotonic(), "", _EVERY
        first = self._look()
        while True:
            time.sleep(pause)
            before = time.monotonic()
            now = self._look()
            pause = max(_EVERY, _SHARE * (time.monotonic() - before))
            if first is None or now is None:
                first = first or now
                continue
            line = progress_line(now, first, before - start)
            if line != said:
                self._say(said := line)

    def _look(self) -> dict[str, Any] | None:
        try:
            return self._status()
        except (UserError, OSError):  # the jobs themselves will say what is wrong with the store
            return None


def progress_line(now: Mapping[str, Any], first: Mapping[str, Any], elapsed: float) -> str:
    """``runs: 229 of 262 finished (2 diverged), 1 running; figures: 3 of 10; about 4 min to go``.

    Args:
      now, first: of a study, as :func:`nmepkg.upkeep.status.status` has it: now and when the workflow began.
      elapsed: seconds between the two. What jobs have done in that time says how fast they do what is left.
    """
    runs, figures = now["runs"], now["figures"].values()
    diverged = f" ({runs['diverged']} diverged)" if runs["diverged"] else ""
    others = [f"{runs[kind]} {kind}" for kind in ("running", "stopped", "failed", "damaged") if runs[kind]]
    counts = [f"{runs['done'] + runs['diverged']} of {sum(runs.values())} finished{diverged}", *others]
    parts = [f"runs: {', '.join(counts)}"]
    for kind in ("measurements", "landscapes"):
        if of := now[kind]["of"]:
            failed = sum(kind.removesuffix("s") in job for job in now["failed"])
            parts.append(f"{kind}: {now[kind]['done']} of {of}" + (f" ({failed} failed)" if failed else ""))
    parts.append(f"figures: {sum(figure['drawn'] for figure in figures)} of {len(figures)}")
    hours, then = now["device_hours"], first["device_hours"]
    rate = (hours["spent"] - then["spent"]) / elapsed
    if hours["to_go"] and not hours["unknown_runs"] and rate > 0:
        parts.append(f"trainings: about {duration(hours['to_go'] / rate)} to go")
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
