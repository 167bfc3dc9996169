"""What of a process's surroundings may decide a number: one list, by which jobs set it, record it, and figures compare it.

Libraries read a great many variables. Of each, one of three things is true:

- **It is left out**: a job decides that itself, and computes as if the variable were not set (:func:`settle`). What JAX and
  Flax read is left out unless it is named below, so that a variable of their next version cannot change a number either.
- **It is recorded**: a user may have a reason to set it, and results say what it was (:func:`recorded`). Figures tell if they
  mix results of different ones.
- **It decides no number**: where computing takes place, how much memory it may take, what is logged.

JAX's own settings, which jobs set, are in :mod:`nmepkg.numerics`. This module imports nothing heavy, as :func:`settle` has to
come before JAX, NumPy and Matplotlib are imported. It only records, and is no part of what a run is: see
``nmepkg.runs.verify``.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, MutableMapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Read by JAX, Flax, NumPy, SciPy, pandas, Matplotlib and PJRT.
_READ = re.compile(
    r"(JAX|JAX2TF|FLAX|NNX|NPY|NUMPY|SCIPY|PANDAS|MPL|PJRT)_\w+"
    r"|MATPLOTLIBRC|MPLBACKEND|CHECK_VMA|EAGER_CONSTANT_FOLDING|MOCK_NUM_GPU_PROCESSES"
)

# A user may have a reason to set these, and they may change the last bits of a number, or more.
_RECORDED = re.compile(
    r"NPY_(DIS|EN)ABLE_CPU_FEATURES|LIBTPU_INIT_ARGS|NVIDIA_TF32_OVERRIDE"
    r"|XLA_(?!CLIENT_|PYTHON_CLIENT_)\w+|TF_(CUDNN|XLA|ENABLE|DETERMINISTIC|GPU)_\w+|(CUBLAS|CUDNN|NCCL|DNNL|ONEDNN)_(?!VERSION$)\w+"
    r"|(MKL|OPENBLAS)_(?!NUM_THREADS)\w+"
)

# Where JAX computes, with whom, and what it says.
_HARMLESS = re.compile(
    r"JAX_(PLATFORMS|COORDINATOR_(ADDRESS|BIND_ADDRESS|PORT)|NUM_PROCESSES|PROCESS_ID|LOCAL_DEVICE_IDS)"
    r"|JAX_(CUDA|ROCM|ONEAPI)_VISIBLE_DEVICES"
    r"|JAX_(LOGGING_LEVEL|DEBUG_LOG_MODULES|LOG_COMPILES|EXPLAIN_CACHE_MISSES|TRACEBACK_FILTERING|DUMP_IR_TO|DUMP_IR_MODES)"
    r"|PJRT_NAMES_AND_LIBRARY_PATHS|MPL_IGNORE_SYSTEM_FONTS"
)

# Where Python and its modules are, and where it writes. All else that begins with PYTHON changes how programs run.
_PYTHON = re.compile(
    r"PYTHON(?!PATH$|HOME$|PLATLIBDIR$|USERBASE$|NOUSERSITE$|DONTWRITEBYTECODE$|PYCACHEPREFIX$|UNBUFFERED$)\w+"
)

# XLA hands convolutions and products to a library that takes them on one thread, however many there are. Without it, as of
# these versions of jaxlib, steps on two threads take 0.75 to 1.03 of the time (docs/performance.md).
# Sums stay with that library: XLA's own make 1-D networks slower. XLA does not start with a flag that it does not know.
_FUSIONS = "--xla_cpu_experimental_ynn_fusion_type"
_MEASURED = ((0, 10, 2), (0, 13))  # from, below

# How results call what is recorded; tables of runs have a column of each.
KEYS = ("threads", "matmul_precision", "variables")


def left_out(names: Iterable[str]) -> list[str]:
    """Of the names of variables, those that jobs compute without."""
    kept = (_RECORDED, _HARMLESS)
    return sorted(name for name in names if _READ.fullmatch(name) and not any(p.fullmatch(name) for p in kept))


def settle(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Removes from a process's variables what jobs compute without. Call it before JAX or Matplotlib is imported.

    Returns:
      The names of those that were set.
    """
    found = left_out(environment)
    for name in found:
        del environment[name]
    return found


def compile_fast(environment: MutableMapping[str, str] = os.environ) -> None:
    """Chooses how XLA compiles for a CPU, as measured, where ``XLA_FLAGS`` does not say it. Call it before JAX is imported.

    What is chosen is recorded with each result as if the user had set it, and JAX keeps programs of other flags apart.
    """
    flags = environment.get("XLA_FLAGS", "")
    release = tuple(int(number) for number in re.findall(r"\d+", version("jaxlib"))[:3])
    if _FUSIONS not in flags and _MEASURED[0] <= release < _MEASURED[1]:
        environment["XLA_FLAGS"] = f"{flags} {_FUSIONS}=reduce".strip()


def of_jobs(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that a job has which is started where these are set."""
    kept = {name: value for name, value in environment.items() if not _PYTHON.fullmatch(name)}
    settle(kept)
    compile_fast(kept)
    return kept | {"PYTHONUTF8": "1"}


def set_and_recorded(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that are set and that a result records."""
    return {name: environment[name] for name in sorted(environment) if _RECORDED.fullmatch(name) and environment[name]}


def threads(environment: Mapping[str, str] = os.environ) -> int:
    """Threads of the pool that XLA computes with on a CPU: ``NPROC``, which jobs set, or the cores that this process has."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return int(environment.get("NPROC") or 0) or (len(affinity(0)) if affinity else os.cpu_count() or 1)


def recorded(platform: str, matmul_precision: str | None) -> dict[str, Any]:
    """What a result records of its surroundings, by :data:`KEYS`.

    On one machine's CPU, equal runs whose records are equal are equal to the bit: another number of threads sums in another
    order.

    Args:
      platform: that JAX computes on; threads decide nothing where that is no CPU.
      matmul_precision: in which products of float32 numbers are computed; None where there are none.
    """
    variables = shlex.join(f"{name}={value}" for name, value in set_and_recorded().items())
    return {
        "threads": threads() if platform == "cpu" else None,
        "matmul_precision": matmul_precision,
        "variables": variables,
    }


def shell_prefix(project: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Shell commands before that of a job, by which its Python starts as if nobody had set variables for another project.

    ``PYTHONWARNINGS=error`` would end it, ``PYTHONSAFEPATH`` hide its modules. Text is UTF-8, whatever the terminal's is.

    Args:
      project: folder of the Snakefile. Where the package is in it, jobs import that, as Snakemake does, and not one that a
        virtual environment has from another clone.
    """
    names = sorted(name for name in environment if _PYTHON.fullmatch(name))
    unset = f"unset {' '.join(names)}; " if names else ""
    first = shlex.quote(str(project)) if (project / "nmepkg").is_dir() else ""
    path = f"export PYTHONPATH={first}${{PYTHONPATH:+:$PYTHONPATH}}; " if first else ""
    return f"{unset}export PYTHONUTF8=1; {path}"
