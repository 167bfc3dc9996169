"""Runs that one job trains, where a setup has many a job: a cluster's queue takes longer than a small training does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from nmepkg.records import digest
from nmepkg.runs.expansion import Expansion, Run
from nmepkg.specs import recipe, shape
from nmepkg.study.spec import Study


@dataclass(frozen=True)
class Pack:
    """Runs of one setup that are trained in one job, one after another in one process.

    It is no part of what a run is: a run trained alone or in another pack is the same to the bit.

    Attributes:
      setup: of all of them.
      runs: in order, those of the same code that share a compiled step beside each other.
    """

    id: str
    setup: str
    runs: tuple[Run, ...]


def packs(study: Study, expansion: Expansion, finished: Callable[[str], bool]) -> dict[str, Pack]:
    """Id -> pack, of runs that are not there yet and whose setup has several ``runs_per_job``.

    Args:
      finished: of a run's id; a finished one is in no pack, so that whatever joins it later changes nothing of its own.
    """
    found: dict[str, Pack] = {}
    by_setup: dict[str, list[Run]] = {}
    for id, setup in expansion.setup_of().items():
        if study.setups[setup].runs_per_job > 1 and not finished(id):
            by_setup.setdefault(setup, []).append(expansion.runs[id])
    for setup, runs in by_setup.items():
        alike: dict[str, list[Run]] = {}
        for run in runs:
            alike.setdefault(repr(shape(recipe(run.spec))), []).append(run)
        ordered = itertools.chain.from_iterable(alike.values())
        while members := tuple(itertools.islice(ordered, study.setups[setup].runs_per_job)):
            id = f"{setup}-{len(members)}-{digest([run.id for run in members])}"
            found[id] = Pack(id, setup, members)
    return found
