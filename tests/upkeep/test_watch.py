"""A study that is watched: in place on a terminal, a line a change elsewhere, until it ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from nmepkg import records
from nmepkg.files import locked
from nmepkg.upkeep import monitor, watch
from tests.upkeep.made import Made


def watched(
    made: Made, monkeypatch: pytest.MonkeyPatch, *, terminal: bool, steps: list[object], lock: Path | None = None
) -> str:
    """What is shown where a step is taken in each pause; the last one may be an interrupt."""
    waiting = iter(steps)

    def pause(seconds: float) -> None:
        assert seconds >= 1
        step = next(waiting)
        if isinstance(step, BaseException):
            raise step
        step()  # type: ignore[operator]

    monkeypatch.setattr(watch.time, "sleep", pause)
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, highlight=False)
    watch.watch(console, made.study, made.expansion, made.store, 1.0, lock)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_a_line_a_change_and_what_failed_when_the_workflow_ends(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lock = tmp_path / "workflow.lock"
    held = locked(lock)
    held.__enter__()

    def end() -> None:
        made.unfinished(made.runs[1], "failed", error="no space left")
        held.__exit__(None, None, None)

    shown = watched(
        made, monkeypatch, terminal=False, lock=lock,
        steps=[lambda: made.finish(made.runs[0]), lambda: None, end],
    ).splitlines()  # fmt: skip
    assert [line.partition(";")[0] for line in shown[:3]] == [
        "runs: 0 of 11",
        "runs: 1 of 11",
        "runs: 1 of 11, 1 failed",
    ]
    assert shown[3].startswith(f"failed: {made.runs[1].id}: no space left; log: ")
    assert shown[-1] == "the workflow has ended; not all is done"


def test_a_terminal_is_redrawn_until_it_is_stopped(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = watched(made, monkeypatch, terminal=True, steps=[lambda: made.finish(made.runs[0]), KeyboardInterrupt()])
    assert shown.count("\x1b[1A") > 5, "back up, over what was drawn"
    assert "runs: 1 of 11" in shown
    assert shown.endswith("stopped watching; the study goes on, if it runs\n")


def test_what_is_finished_is_read_once(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in made.runs:
        made.finish(run)
    for job in made.expansion.measurements.values():
        made.measure(job)
    looks = monitor.Looks(made.study, made.expansion, made.store)
    first = looks.look()
    read: list[Path] = []
    real = records.read
    monkeypatch.setattr(records, "read", lambda path, *rest: read.append(path) or real(path, *rest))
    assert looks.look() == first
    assert not [path for path in read if "runs" in path.parts or "measurements" in path.parts]
    made.store.result(made.runs[0].id).unlink()
    made.store.params(made.runs[0].id).unlink()
    made.store.run(made.runs[0].id).rmdir()
    assert looks.look()["runs"]["missing"] == 1
