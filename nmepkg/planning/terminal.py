"""What a person reads of a call whose jobs run, in place of all that Snakemake says of each; its own log has that."""

from __future__ import annotations

import logging
import os
import shutil
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from nmepkg.upkeep.survey import last_failure

OURS = "nmepkg"  # the attribute of a record that is a line of this package
_TOLD = ("Nothing to be done", "Complete log", "Will exit after")
_BRIEF = (
    "data",
    "draw",
    "judge",
    "page",
    "origin",
)  # jobs of seconds, of which each is told; of others, the progress tells
_RED = "\x1b[31m{}\x1b[0m"
# Said at the end of every call that failed, whatever failed.
_KNOWN = (
    "RuleException:\nCalledProcessError",
    "--keep-incomplete mode is set",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not",
)


class Terminal(logging.StreamHandler[TextIO]):
    """Writes what a person needs: our lines, warnings, and of each job that failed which, why, its log and how to try it alone.

    On a terminal, lines are as wide as that and what failed is red, unless ``NO_COLOR`` is set; elsewhere nothing is broken or
    coloured.

    Args:
      coloured: whether the call may use colours.
      rule: what the rules here call one of Snakemake's; None for another Snakefile's.
      target: of a rule, its outputs and logs, what makes Snakemake do that job alone; None where nothing does.
      command: of this call with another target in place of its own.

    Attributes:
      results: what targets say of themselves, to be said at the end.
      told: names of the jobs whose failure was told.
      interrupted: whether the call was stopped: jobs that end then have not failed.
    """

    def __init__(
        self,
        stream: TextIO,
        coloured: bool,
        rule: Callable[[str], str | None],
        target: Callable[[str, Sequence[str], Sequence[str]], str | None],
        command: Callable[[str], str],
    ) -> None:
        super().__init__(stream)
        self._wide = stream.isatty()
        self._coloured = coloured and self._wide and not os.environ.get("NO_COLOR")
        self._rule, self._target, self._command = rule, target, command
        self.results: list[str] = []
        self.told: set[str] = set()
        self.interrupted = False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes what there is to be read of a record, once; of most there is nothing."""
        try:
            if text := self.format(record):
                self.stream.write(f"{text}\n")
                self.flush()
        except Exception:
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        """What is written of a record of Snakemake's, or one of :func:`say`."""
        lines = [line for text in self._lines(record) for line in text.split("\n")]
        if self._wide:
            lines = [wrapped(line, shutil.get_terminal_size().columns) for line in lines]
        if self._coloured and lines and (record.levelno >= logging.ERROR or lines[0].startswith("failed:")):
            lines[0] = _RED.format(lines[0])
        return "\n".join(lines)

    def _lines(self, record: logging.LogRecord) -> list[str]:
        event, text = getattr(record, "event", None), str(record.msg or "")
        if event == "job_info":
            return self._begun(record)
        if event == "job_error":
            return [] if self.interrupted else self._failed(record)
        if text.startswith("Trying to restart job"):
            return [] if self.interrupted else ["    it is tried once more"]
        if record.levelno >= logging.WARNING:
            return [] if text.startswith(_KNOWN) else [text]
        return [text] if hasattr(record, OURS) or text.startswith(_TOLD) else []

    def _begun(self, record: Any) -> list[str]:
        rule = self._rule(record.rule_name)
        if rule is None and record.rule_msg not in (None, *self.results):  # a target, whose inputs are there
            self.results.append(record.rule_msg)
        return [record.rule_msg] if rule in _BRIEF else []

    def _failed(self, record: Any) -> list[str]:
        rule, logs = self._rule(record.rule_name) or record.rule_name, [str(log) for log in record.log]
        name = Path(logs[0]).stem if logs else rule
        why = (last_failure(Path(logs[0])) if logs else "").removeprefix(f"{name}: ")
        target = self._target(rule, [str(file) for file in record.output], logs)
        return self.failure(name, why or "it ended without saying why, as what is killed does", logs, target)

    def failure(self, name: str, why: str, logs: Sequence[str], target: str | None) -> list[str]:
        """Lines on a job that failed, the first time: which, why, where its log is, and how it is tried alone."""
        if name in self.told:
            return []
        self.told.add(name)
        alone = [f"    alone: {self._command(target)}"] if target else []
        return [f"failed: {name}: {why}", *(f"    log: {log}" for log in logs), *alone]


def wrapped(line: str, width: int) -> str:
    """A line, broken between words; what is longer, as a path, stays whole, so that it can be copied."""
    start = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(), width - 1, initial_indent=start, subsequent_indent=f"{start}  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
