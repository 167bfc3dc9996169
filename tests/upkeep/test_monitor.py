"""What a running workflow says of itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from nmepkg.upkeep import monitor
from nmepkg.upkeep.status import status
from nmepkg.upkeep.survey import log
from tests.upkeep.made import Made


def test_a_line_counts_runs_not_steps(made: Made) -> None:
    first = status(made.study, made.expansion, made.store)
    runs, job = made.runs, next(iter(made.expansion.measurements.values()))
    assert monitor.progress_line(first, first, 1.0) == "runs: 0 of 11; measured: 0 of 10; drawn: 0 of 2"
    for run in runs[:3]:
        made.finish(run, seconds=36)
    made.finish(runs[3], status="diverged", seconds=12)
    made.unfinished(runs[4], "running", left_seconds=None)
    made.unfinished(runs[5], "failed", error="no space left")
    made.measure(job)
    with made.training(runs[4]):
        now = status(made.study, made.expansion, made.store)
    line = monitor.progress_line(now, first, trained=66.0)
    counts = "4 of 11 (1 diverged), 1 running, 1 failed"
    # 144 s of jobs in 66 s, and 240 to go: 110 s.
    assert line == f"runs: {counts}; measured: 1 of 10; drawn: 0 of 2; trainings: about 1 min 50 s to go"


def test_it_says_each_line_once_and_survives_a_store_that_cannot_be_read(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_EVERY", 0.05)
    said: list[str] = []
    failed: list[Mapping[str, Any]] = []
    watcher = monitor.Looks(made.study, made.expansion, made.store)
    looks = iter([watcher.look(), None])
    real = watcher.look

    def look() -> Mapping[str, Any]:
        if (found := next(looks, {})) is None:
            raise OSError("a network file system")
        return found or real()

    monkeypatch.setattr(watcher, "look", look)
    monitor.Progress(watcher, said.append, failed.append).start()
    end = time.monotonic() + 20
    while not said and time.monotonic() < end:
        time.sleep(0.01)
    made.finish(made.runs[0])
    while len(said) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert [line.split(";")[0] for line in said] == ["runs: 0 of 11", "runs: 1 of 11"]


def test_jobs_on_runs_and_figures_that_failed_are_counted_and_named(made: Made) -> None:
    job = next(iter(made.expansion.measurements.values()))
    for rule, name in (("measure", f"{job.run}/{job.id}"), ("figure", "tiny/curve")):
        path = log(made.study, rule, name)
        path.parent.mkdir(parents=True)
        path.write_text(f"Traceback\n  one\nfailed: {path.stem}: no space left\n")
    found = status(made.study, made.expansion, made.store)
    assert "measured: 0 of 10 (1 failed)" in monitor.progress_line(found, found, 30.0)
    measured, drawn, undrawn = monitor.what_failed(found)
    assert measured == f"failed: {job.id}: no space left; log: {made.store.root}/logs/measure/{job.run}/{job.id}.log"
    assert drawn == f"failed: curve: no space left; log: {made.store.root}/logs/figure/tiny/curve.log"
    assert undrawn == "not drawn: curve, step"
    assert f"failed {job.id}: no space left; log: " in made.call("status").replace("\n", "")


def test_what_works_again_or_is_there_has_not_failed(made: Made) -> None:
    job = next(iter(made.expansion.measurements.values()))
    path = log(made.study, "measure", f"{job.run}/{job.id}")
    path.parent.mkdir(parents=True)
    path.write_text("failed: once\nnow it works\n")
    assert not status(made.study, made.expansion, made.store)["failed"]
    path.write_text(f"failed: {job.id}: no space left\n")
    made.measure(job)  # by somebody else who uses the store
    assert not status(made.study, made.expansion, made.store)["failed"]


def test_what_failed_is_named_with_its_log(made: Made) -> None:
    assert list(monitor.what_failed(status(made.study, made.expansion, made.store))) == ["not drawn: curve, step"]
    failed = made.runs[0]
    made.unfinished(failed, "failed", error="no space left")
    first, *_ = monitor.what_failed(status(made.study, made.expansion, made.store))
    assert first.startswith(f"failed: {failed.id}: no space left; log: ")
    assert first.endswith(f"logs/train/{failed.id}.log")
    for run in made.runs[1:]:
        made.unfinished(run, "failed", error="no space left")
    lines = list(monitor.what_failed(status(made.study, made.expansion, made.store)))
    assert lines[-2:] == ["failed: 1 more; see: python -m nmepkg status", "not drawn: curve, step"]
