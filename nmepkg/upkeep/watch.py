"""``status --watch``: a study's state in place, or a line a change where it is no terminal, until the study ends."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.spec import Study
from nmepkg.upkeep.monitor import Looks, what_failed
from nmepkg.upkeep.survey import is_held
from nmepkg.upkeep.terminal import show_status

_SHARE = 5  # of the time between two looks at most a fifth is spent on looking


def watch(
    console: Console, study: Study, expansion: Expansion, store: Store, every: float, lock: Path | None = None
) -> dict[str, Any]:
    """Shows the state of a study until all is done, its workflow has ended, or it is stopped (Ctrl-C).

    Args:
      console: a terminal, on which it is redrawn in place, or a file or pipe, which gets a line a change.
      every: seconds between two looks; more where a look takes long.
      lock: of the study's workflow, held while one runs. Of one on another machine it may tell nothing: that has ended when
        all is done.

    Returns:
      The last state.
    """
    looks, ran, said = Looks(study, expansion, store), False, ""
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
        try:
            while True:
                start = time.monotonic()
                running = lock is not None and is_held(lock)
                found = looks.look()
                end = _end(found, running, ran)
                ran = ran or running
                if live is not None:
                    live.update(_picture(console, found, looks.line(), end), refresh=True)
                elif (line := looks.line() or _counts(found)) != said:
                    console.print(said := line, markup=False)
                if end:
                    break
                time.sleep(max(every, _SHARE * (time.monotonic() - start)))
        except KeyboardInterrupt:
            end = "stopped watching; the study goes on, if it runs"
    if live is None:
        for line in what_failed(found):
            console.print(line, markup=False)
    console.print(end, markup=False)
    return found


def _end(found: Mapping[str, Any], running: bool, ran: bool) -> str:
    """Why there is nothing more to watch; nothing where there is."""
    runs = found["runs"]
    waiting = sum(runs.values()) - runs["done"] - runs["diverged"]
    waiting += sum(found[kind]["of"] - found[kind]["done"] for kind in ("measurements", "landscapes"))
    if not waiting and all(figure["drawn"] for figure in found["figures"].values()):
        return "all is done"
    return "the workflow has ended; not all is done" if ran and not running else ""


def _counts(found: Mapping[str, Any]) -> str:
    runs = found["runs"]
    return f"runs: {runs['done'] + runs['diverged']} of {sum(runs.values())}"


def _picture(console: Console, found: Mapping[str, Any], line: str, end: str) -> Text:
    """What ``status`` shows, and a line on how fast it goes on."""
    drawn = Console(
        file=io.StringIO(), width=console.width, highlight=False, force_terminal=True, no_color=console.no_color
    )
    show_status(drawn, found)
    if line:
        drawn.print(line, markup=False)
    if not end:
        drawn.print(f"{time.strftime('%X')}; Ctrl-C ends watching, not the study", style="dim")
    assert isinstance(drawn.file, io.StringIO)
    return Text.from_ansi(drawn.file.getvalue())
