"""A cluster with Slurm: what its own settings may say, which the profile in ``profiles/slurm`` reads, and what it allows."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.study.checks import StudyError, check
from nmepkg.study.strict_yaml import read

_TEXT = {"type": "string", "pattern": r"\S", "patternErrorMessage": "is blank; write a text, or leave the key out"}
_LIMIT = {"type": "number", "minimum": 0}
_NAMES = {"type": "array", "items": _TEXT}

# Of the executor plugin, which does not check them: a misspelt one would be no limit.
_PARTITION = {
    "type": "object",
    "properties": {
        "max_runtime": {"type": ["string", "number"]},
        **{
            f"max_{what}": _LIMIT
            for what in (
                *("mem_mb", "mem_mb_per_cpu", "threads", "cpus_per_task", "cpus_per_gpu", "gpu"),
                *("nodes", "tasks", "tasks_per_node", "mpi_tasks"),
            )
        },
        "available_gpu_models": _NAMES,
        "available_constraints": _NAMES,
        "supports_mpi": {"type": "boolean"},
        "cluster": _TEXT,
    },
    "additionalProperties": False,
}

_SITE = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("account", "qos", "constraint", "extra"), _TEXT),
        "gpu_model": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9_.]+\Z",
            "patternErrorMessage": "is not a name of a GPU; write that alone, such as a100",
        },
        "gres": {
            "type": "string",
            "pattern": r"^gpu(:[A-Za-z0-9_.]+)?\Z",
            "patternErrorMessage": "does not name GPUs; write gpu, or gpu:a100",
        },
        "partitions": {"type": "object", "minProperties": 1, "additionalProperties": _PARTITION},
        "jobs": {"type": "integer", "minimum": 1},
        "retries": {"type": "integer", "minimum": 0},
    },
    "additionalProperties": False,
}


def read_site(path: str | Path) -> dict[str, Any]:
    """The settings of a site; none where there is no file.

    Raises:
      UserError: it is not YAML, has an unknown key or a wrong value, or Snakemake cannot submit to Slurm; one line with the
        remedy.
    """
    if find_spec("snakemake_executor_plugin_slurm") is None:
        raise UserError("Snakemake cannot submit to Slurm yet; run: python -m pip install --editable '.[slurm]'")
    path = Path(path)
    if not path.exists() or not any(line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()):
        return {}
    try:
        site = check(read(path), _SITE)
    except StudyError as problem:
        raise UserError(f"{path}: {problem}") from None
    if "gres" in site and "gpu_model" in site:
        raise UserError(f"{path}: gpu_model: goes with gres into one; write gres: gpu:{site['gpu_model']} alone")
    return site


def largest_memory(site: Mapping[str, Any]) -> float:
    """Megabytes that some partition gives a job at most; infinite where a partition does not say."""
    partitions = site.get("partitions", {}).values()
    return max((partition.get("max_mem_mb", math.inf) for partition in partitions), default=math.inf)


def refuse_too_few_tries(trainings: Iterable[tuple[str, str, float, float]], tries: int) -> None:
    """Refuses trainings that cannot end within all their jobs, which would be found out after weeks.

    Args:
      trainings: name of the setup, name of the method, hours that one is estimated to take, and hours of one of its jobs.
      tries: how many jobs it may have, one after another.

    Raises:
      UserError: of the longest one; names the setup and the remedy.
    """
    needs = ((needed / hours, setup, method, needed, hours) for setup, method, needed, hours in trainings)
    jobs, setup, method, needed, hours = max(needs, default=(0.0, "", "", 0.0, 1.0))
    if jobs > tries:
        raise UserError(
            f"{setup}: a training by {method} takes about {needed:.0f} h, by device_hours of its setup, and {tries} jobs of "
            f"{hours:g} h are {tries * hours:g} h; write retries: {math.ceil(jobs)} into profiles/slurm/site.yaml, or raise "
            "resources.hours"
        )


def refuse_too_long(minutes: Mapping[str, int]) -> None:
    """Refuses jobs that no partition gives the time for: Slurm may take them all the same, and they would wait for ever.

    Args:
      minutes: that jobs ask for, by rule.

    Raises:
      UserError: names the rule, the time, what is allowed, and the remedy.
    """
    limits = _limits()
    longest = max(limits, key=lambda partition: limits[partition], default=None)
    for rule, asked in minutes.items():
        if longest is not None and asked > limits[longest]:
            raise UserError(
                f"{rule}: asks for {asked} minutes, and the longest partition, {longest}, allows {limits[longest]:g}; lower "
                "resources.hours or runs_per_job of its setup (a training that takes longer goes on in the next job)"
            )


def _limits() -> dict[str, float]:
    """Partition -> minutes that it gives a job at most; nothing where Slurm does not say."""
    try:
        command = ["sinfo", "--noheader", "--format=%R %l"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return {name: _minutes(limit) for name, limit in (line.split() for line in answer.splitlines())}


def _minutes(limit: str) -> float:
    """Of ``days-hours:minutes:seconds``, from the left as much as there is need for, and ``infinite``."""
    days, _, time = limit.rpartition("-")
    parts = time.split(":")
    if not all(part.isdigit() for part in (days or "0", *parts)):
        return math.inf
    hours, minutes, seconds = (int(part) for part in ["0", "0", *parts][-3:])
    return 1440 * int(days or 0) + 60 * hours + minutes + seconds / 60
