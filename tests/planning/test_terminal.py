"""What a person reads of a call, made of Snakemake's records."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest

from nmepkg.planning.terminal import OURS, Terminal, wrapped

RULES = {"draw_figure_1": "draw", "train": "train", "trained": "trained"}


class Screen(io.StringIO):
    """A terminal, or none."""

    wide = False

    def isatty(self) -> bool:
        return self.wide


def terminal(screen: Screen) -> tuple[Terminal, Any]:
    made = Terminal(
        screen, True, RULES.get, lambda rule, outputs, logs: outputs[0], lambda target: f"snakemake {target}"
    )

    def say(text: str, level: int = logging.INFO, **more: Any) -> None:
        made.handle(logging.makeLogRecord({"msg": text, "levelno": level, **more}))

    return made, say


def failing(log: Path) -> dict[str, Any]:
    return {"event": "job_error", "rule_name": "train", "log": [str(log)], "output": ["results/result.json"]}


def test_jobs_of_seconds_are_told_and_targets_kept_for_the_end() -> None:
    made, say = terminal(screen := Screen())
    say("", event="job_info", rule_name="draw_figure_1", rule_msg="Drawing figure_1")
    say("", event="job_info", rule_name="train", rule_msg="Training run")
    say("", event="job_info", rule_name="figure_1", rule_msg="The figure is figure_1.pdf")
    say("Select jobs to execute...")
    say("Nothing to be done (all requested files are present and up to date).")
    say("a line of ours", **{OURS: True})
    say("--keep-incomplete mode is set, so", logging.WARNING)
    say("a warning", logging.WARNING)
    shown = [
        "Drawing figure_1",
        "Nothing to be done (all requested files are present and up to date).",
        "a line of ours",
    ]
    assert screen.getvalue().splitlines() == [*shown, "a warning"]
    assert made.results == ["The figure is figure_1.pdf"]


def test_what_failed_says_why_where_its_log_is_and_how_to_try_it_alone_once(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    made, say = terminal(screen := Screen())
    log.write_text("Traceback\nfailed: run: no space left\n", encoding="utf-8")
    say("Error in rule", logging.ERROR, **failing(log))
    say("Error in rule", logging.ERROR, **failing(log))
    say("Trying to restart job 3.")
    lines = ["failed: run: no space left", f"    log: {log}", "    alone: snakemake results/result.json"]
    assert screen.getvalue().splitlines() == [*lines, "    it is tried once more"]
    silent = tmp_path / "silent.log"
    made.interrupted = True
    say("Error in rule", logging.ERROR, **failing(silent))
    made.interrupted = False
    say("Error in rule", logging.ERROR, **failing(silent))
    assert screen.getvalue().splitlines()[4] == "failed: silent: it ended without saying why, as what is killed does"


@pytest.mark.parametrize(("wide", "plain"), [(True, "1"), (True, ""), (False, "")])
def test_colours_and_lines_are_a_terminals(wide: bool, plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", plain)
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen()
    screen.wide = wide
    _, say = terminal(screen)
    say(f"failed: {'word ' * 20}\n    log: {'/long' * 20}", **{OURS: True})
    assert ("\x1b[31m" in screen.getvalue()) == (wide and not plain)
    lines = screen.getvalue().splitlines()
    assert len(lines) == (5 if wide else 2)
    assert "/long" * 20 in screen.getvalue(), "what is copied stays whole"


def test_a_line_is_broken_between_words_and_hangs() -> None:
    assert wrapped("  undecided: one (mlp), two (mlp)", 20) == "  undecided: one\n    (mlp), two\n    (mlp)"
