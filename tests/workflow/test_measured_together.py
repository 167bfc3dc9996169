"""Several measurements in one job: each is what it would be alone, and fails alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from tests.workflow.project import Project

STUDY = """\
version: 1
name: packed
setups:
  mlp:
    data: {name: mnist1d, samples: 400}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.05}
    training: {epochs: 1, batch_size: 16}
    runs_per_job: 8
measurements:
  step: {kind: alignment, at: [1], examples: 64}
  traces: {kind: traces, at: [initial], examples: 64, samples: 2}
experiments:
  first: {setups: [mlp], methods: [sgd], activations: [relu], seeds: [0, 1], measurements: [step]}
  second: {setups: [mlp], methods: [sgd], activations: [gelu], seeds: [0], measurements: [step, traces]}
figures:
  first: {experiments: [first], measurement: step, x: at, y: norm_N}
  second: {experiments: [second], measurement: step, x: at, y: norm_N}
"""
ALONE = STUDY.replace("    runs_per_job: 8\n", "")


def values(project: Project) -> dict[str, Any]:
    """Id -> the points of each measurement that is there."""
    paths = project.folder.glob("results/measurements/*/*.json")
    return {path.stem: json.loads(path.read_text())["points"] for path in paths}


def said(verb: str, output: str) -> list[str]:
    return re.findall(rf"Job \d+: {verb}: (\S+)", output)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All is trained and measured, each by a job of its own."""
    project = Project(tmp_path_factory.mktemp("alone"))
    project.write("study.yaml", ALONE)
    done = project.snakemake("measurements")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """Nothing is trained yet."""
    made = Project(tmp_path)
    made.write("study.yaml", STUDY)
    made.prepare(trained)
    return made


def break_measurement(project: Project, name: str, problem: str) -> None:
    """Has one measurement fail."""
    begin = "    out = store.measurement(run, name)\n"
    project.edit("workflow/scripts/measure.py", begin, f"{begin}    if name == {name!r}:\n        {problem}\n")


@pytest.mark.parametrize(
    ("problem", "said_of_it"),
    [
        ("raise OSError(28, 'No space left on device')", "No space left on device; mend that"),
        ("import os; print('here it ends', flush=True); os._exit(9)", "here it ends"),
    ],
    ids=["fails", "takes its process with it"],
)
def test_one_that_fails_fails_alone(trained: Project, project: Project, problem: str, said_of_it: str) -> None:
    expected = values(trained)
    assert len(expected) == 4
    lost = min(expected)
    break_measurement(project, lost, problem)
    done = project.snakemake("measurements")
    assert done.returncode != 0
    assert len(said("Several measurements", done.stdout)) == 2, "each activation is code of its own"
    assert said_of_it in done.stdout, "the log of the one that failed is shown"
    assert values(project) == {id: points for id, points in expected.items() if id != lost}
    logs = [path.read_text() for path in project.folder.glob("results/logs/measure_together/*.log")]
    assert "".join(logs).count(f"{lost}: failed") == 2, "tried twice"

    project.edit("workflow/scripts/measure.py", problem, "pass")
    done = project.snakemake("measurements")
    assert done.returncode == 0, done.stdout
    assert said("Measured", done.stdout) == [lost]
    assert not said("Trained", done.stdout)
    assert values(project) == expected


def test_what_was_trained_by_several_methods_is_measured(project: Project) -> None:
    """Each method is code of its own, which the measurements of others must not have imported."""
    methods = "methods: [sgd, psam, gn_trace, {name: hessian_trace, samples: 1}], rho: [0.1], sigma2: [1e-3]"
    project.edit("study.yaml", "methods: [sgd], activations: [gelu]", f"{methods}, activations: [gelu]")
    project.edit("study.yaml", "  second: {experiments: [second], measurement: step, x: at, y: norm_N}\n", "")
    done = project.snakemake("all", "--until", "trained")
    assert done.returncode == 0, done.stdout
    done = project.snakemake("measurements")
    assert done.returncode == 0, done.stdout
    codes = {run.code for run in expand(load(project.folder / "study.yaml")).runs.values()}
    assert len(said("Several measurements", done.stdout)) == len(codes) > 3
    assert len(values(project)) == 10
    logs = [path.read_text() for path in project.folder.glob("results/logs/measure_together/*.log")]
    assert [log for log in logs if "0 failed" not in log.splitlines()[-1] or log.count("failed") > 1] == []


def test_a_figure_has_what_it_shows_trained_and_measured_and_no_more(project: Project) -> None:
    runs = {run.spec["activation"]["name"]: run.id for run in expand(load(project.folder / "study.yaml")).runs.values()}
    done = project.snakemake("second")
    assert done.returncode == 0, done.stdout
    assert said("Trained", done.stdout) == [runs["gelu"]]
    assert len(said("Measured", done.stdout)) == len(values(project)) == 1
    assert {path.parent.name for path in project.folder.glob("results/runs/*/result.json")} == {runs["gelu"]}


def test_of_a_run_that_failed_nothing_is_measured_and_of_the_others_all_is(trained: Project, project: Project) -> None:
    ids = sorted(path.parent.name for path in trained.folder.glob("results/runs/*/result.json"))
    begin = "    planned = planned_run(run.id, run.spec, run.code)\n"
    fails = f"    if run.id == {ids[0]!r}:\n        raise OSError(28, 'No space left on device')\n"
    project.edit("workflow/scripts/train.py", begin, begin + fails)
    done = project.snakemake("measurements")
    assert done.returncode != 0
    others = [path.stem for run in ids[1:] for path in trained.folder.glob(f"results/measurements/{run}/*.json")]
    assert sorted(values(project)) == sorted(said("Measured", done.stdout)) == sorted(others)
    assert f"failed: {ids[0]}" in done.stdout
    assert "failed: measurement" not in done.stdout, "what was not tried did not fail"


def test_until_the_rule_that_takes_several(project: Project) -> None:
    """No rule then asks for a measurement, nor says that one failed."""
    lost = min(expand(load(project.folder / "study.yaml")).measurements)
    break_measurement(project, lost, "raise OSError(28, 'No space left on device')")
    done = project.snakemake("measurements", "--until", "measure_together")
    assert done.returncode == 1, done.stdout
    assert f"1 measurements failed, the first is {lost}: see results/logs/measure/" in done.stdout
    assert len(values(project)) == 3
