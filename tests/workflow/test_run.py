"""Real trainings of a tiny study, and what runs again afterwards."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests.workflow.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_study_from_nothing_to_its_figure_and_what_runs_again(project: Project) -> None:
    planned = project.plan()[1]
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    assert "(100%) done" in done.stdout

    results = {
        path.parent.name: json.loads(path.read_text()) for path in project.folder.glob("results/runs/*/result.json")
    }
    assert set(results) == planned
    assert all(result["status"] == "completed" and result["run"] == run for run, result in results.items())
    figures = project.folder / "results/figures/tiny"
    assert {path.name for path in figures.iterdir()} == {
        "curve.pdf", "curve.svg", "curve.png", "curve.csv", "curve.runs.csv",
    }  # fmt: skip
    with (figures / "curve.runs.csv").open(newline="") as file:
        assert {row["run"] for row in csv.DictReader(file)} == planned

    nothing: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    assert project.plan() == nothing, "a second run"

    for i, path in enumerate(sorted(project.folder.rglob("*"), key=lambda path: path.name)):
        if ".snakemake" not in path.parts:
            os.utime(path, (2_000_000_000 - i, 2_000_000_000 - i))
    assert project.plan() == nothing, "new modification times, as after a checkout"

    project.edit("nmepkg/methods/sam.py", "from __future__", "# A comment.\nfrom __future__")
    project.edit("study.yaml", "figures:\n", "figures: # a comment\n")
    assert project.plan() == nothing, "comments"

    project.edit("study.yaml", "x: rho}", "x: rho, title: New}")
    assert project.plan() == (set(), set(), {"curve"}), "a title"
    project.edit("study.yaml", "x: rho, title: New}", "x: rho}")

    drawing = (project.folder / "nmepkg/analysis/figures/accuracy_curve.py").read_text()
    project.write("nmepkg/analysis/figures/accuracy_curve.py", f"{drawing}\nNEW = 1\n")
    assert project.plan() == (set(), set(), {"curve"}), "code that draws"
    project.write("nmepkg/analysis/figures/accuracy_curve.py", drawing)

    method = (project.folder / "nmepkg/methods/sam.py").read_text()
    project.write("nmepkg/methods/sam.py", f"{method}\nNEW = 1\n")
    data, runs, redrawn = project.plan()
    assert (data, redrawn) == (set(), {"curve"})
    assert [run.rsplit("-", 1)[0] for run in runs] == ["mnist1d-mlp-sam-0.1-relu-s0"], "code of one method"
    project.write("nmepkg/methods/sam.py", method)
    assert project.plan() == nothing, "and back"

    project.edit("study.yaml", "seeds: [0]", "seeds: [0, 1]")
    data, runs, redrawn = project.plan()
    assert (data, redrawn) == (set(), {"curve"})
    assert {run.rsplit("-", 1)[0] for run in runs} == {"mnist1d-mlp-sgd-relu-s1", "mnist1d-mlp-sam-0.1-relu-s1"}
    project.edit("study.yaml", "seeds: [0, 1]", "seeds: [0]")

    lost = sorted(planned)[0]
    (project.folder / "results/runs" / lost / "result.json").unlink()
    assert project.plan("all") == (set(), {lost}, {"curve"}), "a lost result"


def test_a_failed_run_shows_its_log_and_fails_the_workflow(project: Project) -> None:
    project.edit("study.yaml", "batch_size: 16", "batch_size: 500")
    project.edit("study.yaml", "rho: [0, 0.1]", "rho: [0.1]")
    done = project.snakemake()
    assert done.returncode != 0
    assert "training.batch_size: 500 is more than the" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list(project.folder.glob("results/figures/*/*"))
