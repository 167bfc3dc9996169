"""What a cluster's own settings may say; they are read by the profile in ``profiles/slurm``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.study.checks import StudyError, check
from nmepkg.study.strict_yaml import read

_TEXT = {"type": "string", "pattern": r"\S"}
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
        "gpu_model": {"type": "string", "pattern": r"^[A-Za-z0-9_.]+\Z"},
        "partitions": {"type": "object", "minProperties": 1, "additionalProperties": _PARTITION},
        "jobs": {"type": "integer", "minimum": 1},
        "retries": {"type": "integer", "minimum": 0},
        "status_command": {"enum": ["squeue", "sacct"]},
    },
    "additionalProperties": False,
}


def read_site(path: str | Path) -> dict[str, Any]:
    """The settings of a site; none where there is no file.

    Raises:
      UserError: it is not YAML, has an unknown key or a wrong value; one line with file, key and remedy.
    """
    path = Path(path)
    if not path.exists():
        return {}
    try:
        return check(read(path), _SITE)
    except StudyError as problem:
        raise UserError(f"{path}: {problem}") from None
