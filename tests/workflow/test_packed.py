"""Several runs in one job: each is what it would be alone, and fails alone."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from tests.workflow.kills import results, trainings
from tests.workflow.project import Project

ALONE = """\
version: 1
name: packed
checkpoints: {seconds: 0.05}
setups:
  mlp:
    data: {name: mnist1d, samples: 400}
    model: {name: mlp, width: 16, depth: 1}
    optimizer: {learning_rate: 0.05}
    training: {epochs: 20, batch_size: 16, evaluate_every: 20}
measurements:
  step: {kind: alignment, at: [final], examples: 64}
experiments:
  main: {setups: [mlp], methods: [sam], activations: [relu], rho: [0, 0.1], seeds: [0]}
  more: {setups: [mlp], methods: [sgd], activations: [relu], seeds: [0, 1], measurements: [step]}
figures:
  curve: {experiments: [main], x: rho}
"""
PACKED = ALONE.replace("evaluate_every: 20}\n", "evaluate_every: 20}\n    runs_per_job: 8\n")


def runs(project: Project) -> dict[tuple[str, int], str]:
    """(method, seed) -> id."""
    found = expand(load(project.folder / "study.yaml")).runs.values()
    return {(run.spec["method"]["name"], run.spec["seed"]): run.id for run in found}


def trained(output: str) -> list[str]:
    return re.findall(r"Job \d+: Trained: (\S+)", output)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("alone"))
    project.write("study.yaml", ALONE)
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    return project


def packed(alone: Project, folder: Path) -> Project:
    """The same runs, in one job: with the data and the compiled programs of those, and no results."""
    project = Project(folder)
    project.write("study.yaml", PACKED)
    project.prepare(alone)
    return project


def test_one_that_fails_and_one_that_kills_its_process_fail_alone(alone: Project, tmp_path: Path) -> None:
    project = packed(alone, tmp_path)
    ids = runs(project)
    begin = "    planned = planned_run(run.id, run.spec, run.code)\n"
    full = f"    if run.id == {ids['sgd', 0]!r}:\n        raise OSError(28, 'No space left on device')\n"
    lethal = f"    if run.id == {ids['sam', 0]!r}:\n        signal.raise_signal(signal.SIGKILL)\n"
    project.edit("workflow/scripts/train.py", begin, begin + full + lethal)
    done = project.snakemake("all")
    assert done.returncode != 0
    assert done.stdout.count("Several trainings: ") == 1
    assert sorted(trained(done.stdout)) == sorted(ids.values())
    whole = {path.parent.name for path in (project.folder / "results").glob("*/*/result.json")}
    assert whole == {ids["sgd", 1]}
    assert len(list((project.folder / "results").glob("measurements/*/*"))) == 1, "what is there is used"
    assert "No space left on device; mend that" in done.stdout, "the log of the one that failed is shown"
    (log,) = (project.folder / "results" / "logs" / "train_together").glob("*.log")
    assert [log.read_text().count(f"{ids[who]}: failed") for who in (("sgd", 0), ("sam", 0))] == [2, 2], "tried twice"
    assert not (project.folder / "results/figures/packed/curve.svg").exists()

    project.edit("workflow/scripts/train.py", full + lethal, "")
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    assert sorted(trained(done.stdout)) == sorted([ids["sgd", 0], ids["sam", 0]])
    assert results(project) == results(alone)

    project.edit("study.yaml", "rho: [0, 0.1], seeds: [0]", "rho: [0, 0.1], seeds: [0, 2]")
    project.edit("study.yaml", "runs_per_job: 8", "runs_per_job: 2")
    planned = project.snakemake("-n", "curve").stdout
    assert sorted(trained(planned)) == sorted(runs(project)[method, 2] for method in ("sgd", "sam"))
    assert "Training " not in planned


def test_a_job_that_is_stopped_goes_on(alone: Project, tmp_path: Path) -> None:
    project = packed(alone, tmp_path)
    project.write("study.yaml", PACKED.replace("epochs: 20", "epochs: 600").replace("every: 20", "every: 600"))
    log = project.folder / "output.txt"
    workflow = project.start("curve")
    logs = project.folder / "results" / "logs" / "train"
    deadline = time.monotonic() + 60
    while not list(project.folder.glob("results/runs/*/checkpoint.npz")):
        assert workflow.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    os.kill(min(trainings(project, "train_together.py")), signal.SIGTERM)
    assert workflow.wait(timeout=120) == 0, log.read_text()
    assert "non-zero exit status 75" in log.read_text()
    assert any("continues after step" in path.read_text() for path in logs.glob("*.log"))


def test_until_the_rule_that_trains_several(alone: Project, tmp_path: Path) -> None:
    """No rule then asks for a run, nor says that one failed."""
    project = packed(alone, tmp_path)
    ids = runs(project)
    begin = "    planned = planned_run(run.id, run.spec, run.code)\n"
    fails = f"    if run.id == {ids['sgd', 0]!r}:\n        raise OSError(28, 'No space left on device')\n"
    project.edit("workflow/scripts/train.py", begin, begin + fails)
    call = ("all", "--until", "train_together")
    done = project.snakemake(*call)
    assert done.returncode == 1, done.stdout
    assert f"1 runs failed, the first is {ids['sgd', 0]}: see results/logs/train/{ids['sgd', 0]}.log" in done.stdout
    whole = {path.parent.name for path in (project.folder / "results").glob("runs/*/result.json")}
    assert whole == set(ids.values()) - {ids["sgd", 0]}
    project.edit("workflow/scripts/train.py", fails, "")
    assert project.snakemake(*call).returncode == 0
    assert (project.folder / "results" / "runs" / ids["sgd", 0] / "result.json").exists()
