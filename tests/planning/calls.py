"""A call of Snakemake without Snakemake: what planning asks of one, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from nmepkg.planning.call import Call


class RefusedError(Exception):
    """The call has ended, in a line that says why."""


class MadeCall(Call):
    """A call in the working directory, of the process that plans.

    Attributes:
      said: its lines.
    """

    def __init__(self, *, dry: bool = False, **options: Any) -> None:
        self.folder, self.options, self.files = Path(), options, []
        self.is_module, self.is_main, self.is_dry = False, True, dry
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    warn = say

    def refuse(self, problem: str) -> NoReturn:
        raise RefusedError(problem)

    def attach(self, **handlers: Any) -> None:
        """Nothing calls them."""

    def guard(self, *arguments: Any, **named: Any) -> None:
        """There is nothing to guard."""
