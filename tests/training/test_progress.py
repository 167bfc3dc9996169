"""Progress on a terminal and in a log."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from nmepkg.training import progress

ROW = {"train_accuracy": 0.5, "validation_accuracy": None, "test_accuracy": 0.255}
LAST = {"train_accuracy": 1.0, "validation_accuracy": 0.25, "test_accuracy": 0.75}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def write(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, seconds: float = 50) -> str:
    """Three epochs, of so many seconds each: evaluated before the first and after the last."""
    times = iter([7.0])
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr(progress, "time", clock)
    report = progress.Progress(3, stream)
    rows: list[dict[str, Any] | None] = [ROW, None, None, LAST]
    for epoch, row in enumerate(rows):
        now = 100.0 + seconds * epoch
        clock.monotonic = lambda now=now: now
        report(epoch, row)
    return stream.getvalue()


def test_log_has_a_line_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert write(io.StringIO(), monkeypatch, seconds=4).splitlines() == [
        "epoch 0/3, 0 s elapsed, starting, accuracy: train 50.0 %, test 25.5 %",
        "epoch 3/3, 12 s elapsed, ETA 0 s, accuracy: train 100.0 %, validation 25.0 %, test 75.0 %",
    ]


def test_log_of_long_epochs_has_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    written = write(io.StringIO(), monkeypatch, seconds=6).splitlines()
    assert [line.split(",")[0] for line in written] == ["epoch 0/3", "epoch 2/3", "epoch 3/3"]


def test_terminal_has_one_line_that_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every epoch is shown, with the last evaluation; a newline comes after the last epoch only."""
    written = write(Terminal(), monkeypatch)
    assert written.endswith("\n")
    assert written.count("\n") == 1
    assert written[:-1].split("\r\x1b[K") == [
        "",
        "epoch 0/3, 0 s elapsed, starting, accuracy: train 50.0 %, test 25.5 %",
        "epoch 1/3, 50 s elapsed, ETA 1 min 40 s, accuracy: train 50.0 %, test 25.5 %",
        "epoch 2/3, 1 min 40 s elapsed, ETA 50 s, accuracy: train 50.0 %, test 25.5 %",
        "epoch 3/3, 2 min 30 s elapsed, ETA 0 s, accuracy: train 100.0 %, validation 25.0 %, test 75.0 %",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (599, "9 min 59 s"),
        (3569, "59 min"),
        (3590, "1 h 00 min"),
        (3900, "1 h 05 min"),
        (36_000, "10 h"),
        (4_500_000, "1,250 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text
