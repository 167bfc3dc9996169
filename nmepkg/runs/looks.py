"""How often the runs of a claim were looked at, and whether it was declared before them: recorded in the store.

Whoever adds seeds until a claim is decided looks at growing data, and each look costs some of α. A look is at a set of seeds:
the same seeds once more are no new look, whatever study or person they are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.records import Kind, digest
from nmepkg.runs.compared import compared_runs, study_comparisons
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.spec import Arm, Comparison, Line, Study

LOOK = Kind("look at a claim", 1, "delete it: the look counts no more")
DECLARED = Kind("declaration of a claim", 1, "delete it")


def compared(study: Study, comparison: Comparison) -> dict[str, Any]:
    """What is compared, whatever is said of it and whichever seeds judge it."""
    claim, figure = comparison.claim, study.figures[comparison.claim.figure]
    if figure.landscape is not None:
        of: Any = [spec for _, spec in study.landscapes[figure.landscape]]
    else:
        of = study.setups[comparison.setup].spec
    measured = figure.measurement and study.measurements[figure.measurement]
    sides = [_arm(arm) if isinstance(arm, Arm) else arm for arm in (claim.a, claim.b)]
    rest = {"report": figure.report, "scale": claim.scale, "diverged": claim.diverged}
    return {"of": of, "measured": measured, "a": sides[0], "b": sides[1], **rest}


def said(study: Study, comparison: Comparison) -> dict[str, Any]:
    """The claim itself: what is compared, and what is expected of it."""
    claim = comparison.claim
    return {
        "compared": compared(study, comparison),
        "says": claim.says,
        "expect": claim.expect,
        "smallest": claim.smallest,
    }


def _arm(arm: Arm) -> dict[str, Any]:
    line = arm.strength if isinstance(arm.strength, Line) else None
    strength = {"best_of": [line.method, line.activation]} if line else arm.strength
    return {
        "method": arm.line.method,
        "activation": arm.line.activation,
        "strength": strength,
        **{key: getattr(arm, key) for key in ("y", "at", "within", "per_step")},
        "minus": arm.minus and _arm(arm.minus),
    }


@dataclass(frozen=True)
class Looks:
    """The record of looks at one comparison, a file a look; and of its declarations."""

    folder: Path

    def number(self, seeds: tuple[int, ...]) -> int:
        """Which look at this comparison one at these seeds is, from 1; recorded or not.

        Raises:
          DamagedError: a record is not what was written.
        """
        there = {tuple(look["seeds"]): look["look"] for look in self._all()}
        return int(there.get(seeds, len(there) + 1))

    def record(self, seeds: tuple[int, ...]) -> int:
        """The same, and it is recorded, unless the store is there to be read alone."""
        number = self.number(seeds)
        path = self.folder / f"look-{digest(list(seeds))}.json"
        if not path.exists():
            with suppress(OSError):
                records.write(path, LOOK, {"look": number, "seeds": list(seeds), "date": _now()})
        return number

    def declare(self, text: Mapping[str, Any], finished: int, runs: int) -> None:
        """Records that a claim exists, and how many of its runs are finished at that time; the first time it is called.

        Raises:
          OSError: the store cannot be written to.
        """
        path = self._declaration(text)
        if not path.exists():
            records.write(path, DECLARED, {"date": _now(), "finished": finished, "runs": runs, "claim": dict(text)})

    def declared(self, text: Mapping[str, Any]) -> dict[str, Any] | None:
        """What was recorded of a claim: ``date``, and how many of its ``runs`` were ``finished``.

        Raises:
          DamagedError: it is not what was written.
        """
        path = self._declaration(text)
        return records.read(path, DECLARED, {}) if path.exists() else None

    def _declaration(self, text: Mapping[str, Any]) -> Path:
        return self.folder / f"declared-{digest(dict(text))}.json"

    def _all(self) -> list[dict[str, Any]]:
        return [records.read(path, LOOK, {}) for path in sorted(self.folder.glob("look-*.json"))]


def looks_at(store: Store, study: Study, comparison: Comparison) -> Looks:
    """The record of looks at what a claim compares in one setup."""
    return Looks(store.claims / digest(compared(study, comparison)))


def declared_before(store: Store, study: Study, comparison: Comparison) -> bool:
    """Whether a claim was recorded before any of its runs was finished."""
    found = looks_at(store, study, comparison).declared(said(study, comparison))
    return found is not None and found["finished"] == 0


def declare(store: Store, study: Study, expansion: Expansion) -> None:
    """Records every claim of a study that is not recorded yet, with how many of its runs are finished by now.

    Raises:
      OSError: the store cannot be written to.
    """
    for comparison in study_comparisons(study, expansion):
        if comparison.seeds:
            runs = compared_runs([comparison])
            finished = sum(store.result(run).exists() for run in runs)
            looks_at(store, study, comparison).declare(said(study, comparison), finished, len(runs))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
