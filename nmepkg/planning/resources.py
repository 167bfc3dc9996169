"""What jobs ask Snakemake, and a cluster, for. Another try may get more."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator

from nmepkg.planning.plan import Plan
from nmepkg.study.spec import Resources as Needs
from nmepkg.upkeep.status import device_hours
from nmepkg.upkeep.survey import next_memory


def gpus(count: int) -> int:
    """How many GPUs the executor asks for. The job itself knows from its file how many it was promised."""
    return 0 if _gres() else count


def gres(count: int) -> str:
    """How a cluster gives GPUs, if not by ``--gpus``: see profiles/slurm/site.example.yaml."""
    return f"{_gres()}:{count}" if _gres() and count else ""


def minutes(hours: float) -> int:
    """Minutes that a job asks for, one at least."""
    return max(1, round(60 * hours))


def memory(needs: Needs, attempt: int) -> int:
    """Megabytes. A job that failed may have run out of them: the next try has half as much again."""
    least = 1000 * needs.memory_gb
    return round(max(least, min(least * (1 + attempt) / 2, _largest_memory())))


def training_memory(plan: Plan, needs: Needs, runs: Iterable[str]) -> int:
    """The same for trainings, which say how they ended."""
    least = 1000 * needs.memory_gb
    return round(max(least, min(max(next_memory(plan.store, run, least) for run in runs), _largest_memory())))


def estimates(plan: Plan, runs: Iterable[str]) -> Iterator[tuple[str, str, float, float]]:
    """Of runs whose setup says how long one by SGD takes: setup, method, hours that theirs would take, hours of a job."""
    setups = plan.expansion.setup_of()
    for run in runs:
        setup, method = plan.study.setups[setups[run]], plan.expansion.runs[run].spec["method"]
        if setup.device_hours is not None:
            hours = device_hours(setup, method) / max(1, setup.resources.gpus)
            yield setup.name, method["name"], hours, setup.resources.hours


def _gres() -> str:
    return os.environ.get("GRES_OF_GPUS", "")


def _largest_memory() -> float:
    return float(os.environ.get("LARGEST_MEMORY_MB", math.inf))
