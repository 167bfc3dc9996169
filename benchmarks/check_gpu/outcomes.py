"""What a stage leaves: its state, a line for people, and what it found, in a file that is there as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from nmepkg.errors import UserError
from nmepkg.files import written_whole

# All but what has passed is begun again by the next call: what was missing or failed may be there or mended then.
State = Literal["passed", "failed", "cut off", "skipped"]


class Task(NamedTuple):
    """What a stage is given.

    Attributes:
      folder: for its files.
      seconds: that it has; it is stopped soon after.
      small: whether it is only tried.
    """

    folder: Path
    seconds: float
    small: bool


class Outcome(NamedTuple):
    """What came of a stage.

    Attributes:
      line: for people.
      found: for machines.
    """

    state: State
    line: str
    found: Mapping[str, Any] = MappingProxyType({})


def write(folder: Path, stage: str, outcome: Outcome, seconds: float, where: dict[str, str]) -> None:
    """Leaves an outcome in ``folder/stage.json``.

    Args:
      where: which machine and code it is of.
    """
    content = {
        "stage": stage,
        "state": outcome.state,
        "line": outcome.line,
        "seconds": round(seconds, 1),
        "where": where,
        "found": dict(outcome.found),
    }
    with written_whole(folder / f"{stage}.json") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode())


def read(folder: Path, stage: str) -> dict[str, Any] | None:
    """What :func:`write` left, None if nothing.

    Raises:
      UserError: it is no such file.
    """
    file = folder / f"{stage}.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UserError(f"{file}: not a file of this check; delete it") from None
