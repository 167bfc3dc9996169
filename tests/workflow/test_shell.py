"""A study computed in a shell that is set up for other projects: the same numbers, or a refusal in one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from nmepkg import surroundings
from tests.workflow.project import Project

# Of Python's own variables: those by which Snakemake itself would not end well, or says much; and those of where things are.
_SNAKEMAKE = {"PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONVERBOSE"}
_PLACES = {"PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX", "PYTHONSTARTUP"}
_VALUES = {
    "PYTHONMALLOC": "malloc",
    "PYTHONIOENCODING": "ascii",
    "PYTHONINTMAXSTRDIGITS": "640",
    "PYTHONUTF8": "0",
    "PYTHON_FROZEN_MODULES": "on",
}

MEASURED = "measurements:\n  tr: {kind: traces, examples: 32, samples: 2}\nexperiments:\n"


def compute(folder: Path, **variables: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a tiny study gives: the numbers of its runs and measurements, and its figure's files."""
    folder.mkdir()
    project = Project(folder)
    project.edit("study.yaml", "experiments:\n", MEASURED)
    project.edit("study.yaml", "rho: [0, 0.1], seeds: [0]", "rho: [0.1], seeds: [0], measurements: [tr]")
    done = in_shell(project, variables) if variables else project.snakemake("all")
    assert done.returncode == 0, done.stdout
    numbers = {}
    for path in sorted((folder / "results").rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        numbers |= {str(path.relative_to(folder)): content[key] for key in ("history", "points") if key in content}
    assert len(numbers) == 2
    figures = folder / "results" / "figures" / "tiny"
    return numbers, {
        path.name: path.read_bytes() for path in figures.glob("curve.*") if path.suffix in (".png", ".svg")
    }


def in_shell(project: Project, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        project.command("all"),
        cwd=project.folder,
        env={**project.environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=240,
    )


def of_python() -> dict[str, str]:
    """Python's variables, by its own help, each set."""
    text = subprocess.run([sys.executable, "--help-env"], capture_output=True, text=True).stdout
    text += subprocess.run([sys.executable, "--help"], capture_output=True, text=True).stdout
    names = set(re.findall(r"\bPYTHON[A-Z0-9_]+\b", text)) - _PLACES
    assert {"PYTHONWARNINGS", "PYTHONSAFEPATH", "PYTHONINSPECT", "PYTHONOPTIMIZE"} <= names
    return {name: _VALUES.get(name, "1") for name in names if name not in _SNAKEMAKE}


def test_a_shell_of_other_projects_changes_no_number(tmp_path: Path) -> None:
    """JAX's variables, Python's, Matplotlib's and Slurm's, and a terminal that is not in UTF-8, all at once."""
    settings = [name.upper() for name in jax.config.values]
    ours = dict.fromkeys(surroundings.left_out(settings), "1")
    assert len(ours) > 100
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 7\n", encoding="utf-8")
    others = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_PROCID": "0",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "NPROC": "7",
    }
    everything = ours | of_python() | others
    assert compute(tmp_path / "other", **everything) == compute(tmp_path / "plain")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_COORDINATOR_ADDRESS", "localhost:1234"),
        ("XLA_FLAGS", "--xla_force_host_platform_device_count=4"),
        ("XLA_FLAGS", "--xla_no_such_flag=1"),
        ("JAX_PLATFORMS", "nonsense"),
    ],
)
def test_what_would_break_every_job_ends_the_call_before_any(tmp_path: Path, name: str, value: str) -> None:
    project = Project(tmp_path)
    done = project.snakemake(variables={name: value})
    said = [line for line in done.stdout.splitlines() if re.search(rf"\b{name}(=|: )", line)]
    assert done.returncode == 2
    assert len(said) == 1
    assert not (tmp_path / "results").exists()
    assert "Traceback" not in done.stdout
