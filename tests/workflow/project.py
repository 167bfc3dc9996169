"""A copy of the project in which tests may edit code and run Snakemake."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import RESULT, Store
from nmepkg.study.load import load
from tests.analysis.samples import result
from tests.workflow import forks

ROOT = Path(__file__).resolve().parents[2]

STUDY = """\
version: 1
name: tiny
setups:
  mlp:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
experiments:
  main: {setups: [mlp], methods: [sam], activations: [relu], rho: [0, 0.1], seeds: [0]}
figures:
  curve: {experiments: [main], x: rho}
"""

# Jobs compile as tests do. In the shell that Snakemake is called in, these flags would have each call start JAX, to try them.
FLAGS = """\
import os

os.environ.setdefault("XLA_FLAGS", os.environ.pop("FLAGS_OF_TESTS", ""))
surroundings.compile_fast()
"""


class Project:
    """The files that Snakemake needs, copied to a folder, with a tiny study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("nmepkg", "workflow", "profiles"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Snakefile", folder)
        self.edit("workflow/scripts/job.py", "surroundings.compile_fast()\n", FLAGS)
        self.write("study.yaml", STUDY)

    def copy(self, folder: Path) -> Project:
        """This project as it is now, in another folder."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, symlinks=True)
        copied = Project.__new__(Project)
        copied.folder = folder
        return copied

    def prepare(self, other: Project) -> None:
        """Takes what another project has prepared: its data, and the programs that its jobs compiled."""
        for name in ("data", "cache"):
            shutil.copytree(other.folder / "results" / name, self.folder / "results" / name)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def append(self, name: str, text: str) -> None:
        self.write(name, (self.folder / name).read_text(encoding="utf-8") + text)

    @property
    def environment(self) -> dict[str, str]:
        """In which the copy's package comes before the installed one."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling the package again for each job takes seconds
        environment["FLAGS_OF_TESTS"] = environment.pop("XLA_FLAGS", "")
        return environment

    def make_up(self, study: str = "study.yaml") -> Expansion:
        """Writes data and results that nobody computed, of all runs of a study without measurements."""
        expansion, store = expand(load(self.folder / study)), Store(self.folder / "results")
        for id in expansion.datasets:
            for path in store.data_files(id):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        for run in expansion.runs.values():
            content = result(run.id, run.spec, 0.5 + 0.1 * run.spec["seed"], start="2026-01-01T00:00:00Z")
            records.write(store.result(run.id), RESULT, content)
            store.params(run.id).touch()
        return expansion

    def command(self, *arguments: str, study: str | None = "study.yaml") -> list[str]:
        return [sys.executable, "-m", "snakemake", *self._words(arguments, study)]

    @staticmethod
    def _words(arguments: Sequence[str], study: str | None) -> list[str]:
        words = ["--profile", "profiles/local", "-p", *arguments]  # with all that Snakemake says
        return words if study is None else [*words, "--config", f"study={study}"]

    def snakemake(
        self,
        *arguments: str,
        study: str | None = "study.yaml",
        variables: Mapping[str, str] | None = None,
        timeout: float = 240,
    ) -> subprocess.CompletedProcess[str]:
        """Runs Snakemake on the copy, in an environment that has variables besides."""
        environment = {**self.environment, **(variables or {})}
        return forks.run("snakemake", self._words(arguments, study), self.folder, environment, timeout)

    def start(self, *arguments: str) -> forks.Fork:
        """Snakemake and its jobs, in a process group of their own; what they say goes into ``output.txt``."""
        words = self._words(arguments, "study.yaml")
        return forks.start("snakemake", words, self.folder, self.environment, self.folder / "output.txt")

    def nmepkg(self, *arguments: str, study: str = "study.yaml") -> Any:
        """What ``python -m nmepkg`` says, as JSON."""
        words = [*arguments, "--study", study, "--json"]
        done = forks.run("nmepkg", words, self.folder, self.environment, 120, apart=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def plan(self, *targets: str, study: str = "study.yaml") -> tuple[set[str], set[str], set[str]]:
        """What a dry run lists: ids of data sets to prepare and of runs to train, names of figures to draw."""
        done = self.snakemake("-n", *targets, study=study)
        assert done.returncode == 0, done.stdout
        data, runs, figures = (
            set(re.findall(rf"Job \d+: {verb} (\S+)", done.stdout)) for verb in ("Preparing", "Training", "Drawing")
        )
        assert (not (data | runs | figures)) == ("Nothing to be done" in done.stdout), done.stdout
        return data, runs, figures
