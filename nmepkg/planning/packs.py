"""Runs that one job trains, or measures, where a setup has many a job: a queue takes longer than a small training does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from nmepkg.records import digest
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.specs import recipe, shape
from nmepkg.study.spec import Study

Member = TypeVar("Member", Run, Job)


@dataclass(frozen=True)
class Pack:
    """Runs of one setup that are trained in one job, one after another in one process, or in a few side by side.

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

    Runs that share a compiled step stay together where they fit into one job: each job compiles it anew.

    Args:
      finished: of a run's id; a finished one is in no pack, so that whatever joins it later changes nothing of its own.
    """
    alike: dict[tuple[str, ...], dict[str, list[Run]]] = {}  # setup -> compiled step -> runs
    for id, setup in expansion.setup_of().items():
        if study.setups[setup].runs_per_job > 1 and not finished(id):
            run = expansion.runs[id]
            alike.setdefault((setup,), {}).setdefault(repr(shape(recipe(run.spec))), []).append(run)
    return {id: Pack(id, setup, members) for id, setup, members in _cut(study, alike)}


def measured_together(
    study: Study, expansion: Expansion, missing: Collection[str], pack_of: Mapping[str, Pack]
) -> dict[str, tuple[Job, ...]]:
    """Id -> measurements that one job takes, of the missing ones whose setup has several ``runs_per_job``.

    Those of runs that are trained together are measured together: such a job waits for no other training. Else those that
    share what they compile are. All their runs are of the same code: of other code it could not be told any more whether a
    measurement imports what no hash knows.

    Args:
      missing: ids of measurements.
      pack_of: run -> the pack that it is trained in.
    """
    setup_of = expansion.setup_of()
    # Setup, pack and code of the run -> what is compiled -> measurements.
    alike: dict[tuple[str, ...], dict[str, list[Job]]] = {}
    for id in missing:
        job = expansion.measurements[id]
        run = expansion.runs[str(job.run)]
        if study.setups[setup_of[run.id]].runs_per_job > 1:
            place = setup_of[run.id], pack_of[run.id].id if run.id in pack_of else "", run.code
            alike.setdefault(place, {}).setdefault(repr((job.spec, shape(recipe(run.spec)))), []).append(job)
    return {id: members for id, _, members in _cut(study, alike)}


def _cut(
    study: Study, alike: Mapping[tuple[str, ...], Mapping[str, list[Member]]]
) -> Iterator[tuple[str, str, tuple[Member, ...]]]:
    """(id, setup, members) of the jobs of each place, the first part of which is the setup."""
    for (setup, *_), groups in alike.items():
        for members in _filled(groups.values(), study.setups[setup].runs_per_job):
            yield f"{setup}-{len(members)}-{digest([member.id for member in members])}", setup, members


def _filled(groups: Iterable[list[Member]], most: int) -> list[tuple[Member, ...]]:
    """Groups in as few jobs of at most so many runs as first fit finds, each in one, or in as few as it needs by itself."""
    parts = [group[start : start + most] for group in groups for start in range(0, len(group), most)]
    jobs: list[list[list[Member]]] = []
    for part in sorted(parts, key=lambda part: (-len(part), part[0].code)):
        room = (job for job in jobs if sum(map(len, job)) + len(part) <= most)
        if (job := next(room, None)) is None:
            jobs.append([part])
        else:
            job.append(part)
    for job in jobs:
        job.sort(key=lambda part: part[0].code)  # those of the same code share a process
    return [tuple(itertools.chain.from_iterable(job)) for job in jobs]
