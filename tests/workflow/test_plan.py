"""What Snakemake plans, before anything has run."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.workflow import forks
from tests.workflow.project import ROOT, STUDY, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_plans_data_runs_and_figures(project: Project) -> None:
    data, runs, figures = project.plan()
    assert len(data) == 1
    assert {run.rsplit("-", 1)[0] for run in runs} == {"mnist1d-mlp-sgd-relu-s0", "mnist1d-mlp-sam-0.1-relu-s0"}
    assert figures == {"curve"}


def test_a_figure_is_a_target_with_its_runs_alone(project: Project) -> None:
    more = "  more: {setups: [mlp], methods: [sgd], activations: [tanh], seeds: [7]}\n"
    project.edit("study.yaml", "figures:\n", f"{more}figures:\n")
    assert len(project.plan("curve")[1]) == 2
    assert len(project.plan("all")[1]) == 3
    assert len(project.plan("figures")[1]) == 2


def test_equal_runs_train_once(project: Project) -> None:
    before = project.plan()[1]
    project.edit("study.yaml", "methods: [sam]", "methods: [sam, psam]")
    project.edit("study.yaml", "x: rho}", "x: rho, lines: method}")
    added = project.plan()[1] - before
    assert {run.rsplit("-", 1)[0] for run in added} == {"mnist1d-mlp-psam-0.1-relu-s0"}


def test_code_decides_which_runs_are_new(project: Project) -> None:
    before = project.plan()[1]
    project.edit("nmepkg/methods/sharpness_aware.py", "from __future__", "# A comment.\nfrom __future__")
    project.edit("nmepkg/registry.py", "METHODS: dict", "# Another.\nMETHODS: dict")
    assert project.plan()[1] == before
    project.write(
        "nmepkg/methods/sharpness_aware.py",
        (project.folder / "nmepkg/methods/sharpness_aware.py").read_text() + "\nNEW = 1\n",
    )
    changed = project.plan()[1] - before
    assert [run.rsplit("-", 1)[0] for run in changed] == ["mnist1d-mlp-sam-0.1-relu-s0"]
    project.write("nmepkg/data/mnist1d.py", (project.folder / "nmepkg/data/mnist1d.py").read_text() + "\nNEW = 1\n")
    assert project.plan()[1].isdisjoint(before | changed)


def test_snakemakes_own_option_for_a_study_works(project: Project) -> None:
    project.write("other.yaml", STUDY.replace("seeds: [0]", "seeds: [0, 1]").replace("name: tiny", "name: other"))
    done = project.snakemake("-n", "--configfile", "other.yaml", study=None)
    assert done.stdout.count("Training ") == 4, done.stdout


@pytest.mark.parametrize(
    ("options", "runs", "figures"),
    [
        ([], 1370, 12),
        (["select=[cifar10, fashion_mnist]"], 890, 12),
        (["select=[fashion_mnist]"], 410, 10),
        (["smoke=true"], 122, 12),
    ],
)
def test_the_papers_study_is_planned_whole(project: Project, options: list[str], runs: int, figures: int) -> None:
    """Fashion-MNIST alone, which has no β-GELU in the paper, has no figures 8 and 9."""
    shutil.copy(ROOT / "config" / "paper.yaml", project.folder)
    done = project.snakemake("-n", "figures", "--config", "study=paper.yaml", *options, study=None)
    assert done.returncode == 0, done.stdout
    assert len(set(re.findall(r"Job \d+: Training (\S+)", done.stdout))) == runs
    assert len(set(re.findall(r"Job \d+: Drawing (\S+)", done.stdout))) == figures
    assert ("sources.imagenet2012: missing" in done.stdout) == (not options)


def test_a_plan_says_how_strengths_were_read(project: Project) -> None:
    """`[0,5]` is two values to YAML."""
    project.edit("study.yaml", "rho: [0, 0.1]", "rho: [0,5]")
    done = project.snakemake("-n")
    assert (
        "study.yaml: rho is 0, 5 in main: two values; if one was meant, with a decimal comma, write 0.5" in done.stdout
    )


def test_what_a_call_changes_reaches_commands(project: Project) -> None:
    done = project.snakemake(
        "-n", "-p", "report", "--config", "study=study.yaml", "smoke=true", "select=[mlp]", study=None
    )
    for script in ("figure.py", "origin.py"):
        assert f"{script} --study study.yaml --smoke --select=mlp" in done.stdout, done.stdout
    status = project.nmepkg("status", "--smoke", "--select", "mlp")
    assert (status["study"], status["runs"]["missing"]) == ("tiny-smoke", 2)


def test_it_may_be_called_in_any_folder(project: Project, tmp_path: Path) -> None:
    """``-s`` and ``-d``: the package and the scripts are those beside the Snakefile, results are where it is called."""
    project.append("nmepkg/methods/sharpness_aware.py", "\nNEW = 1\n")  # not the installed package's
    project.edit("study.yaml", "rho: [0, 0.1]", "rho: [0.1]")
    folder = tmp_path / "elsewhere {else}"
    folder.mkdir()
    study, profile = project.folder / "study.yaml", project.folder / "profiles" / "local"
    arguments = ["-s", str(project.folder / "Snakefile"), "--profile", str(profile), "--config", f"study={study}"]
    environment = {**project.environment, "PYTHONPATH": ""}
    for arguments_here, here in (([*arguments, "-d", str(folder)], tmp_path), (arguments, folder)):
        done = forks.run("snakemake", arguments_here, here, environment, 240)
        assert done.returncode == 0, done.stdout
        assert (folder / "results" / "figures" / "tiny" / "curve.pdf").exists()
    assert "Nothing to be done" in done.stdout
    assert not (project.folder / "results").exists()


def test_another_workflow_uses_it_as_a_module(project: Project, tmp_path: Path) -> None:
    """With a study of its own, under other names, beside rules and handlers of its own."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    project.edit("study.yaml", "rho: [0, 0.1]", "rho: [0.1]")
    shutil.copy(project.folder / "study.yaml", folder)
    (folder / "Snakefile").write_text(
        f"""
module sharpness:
    snakefile: "{project.folder}/Snakefile"
    config: {{"study": "study.yaml"}}

use rule * from sharpness as sharpness_*

rule mine:
    default_target: True
    input: rules.sharpness_figures.input
    output: "mine.txt"
    shell: "echo done > {{output}}"

onstart:
    print("theirs starts")
"""
    )
    arguments = ["--profile", str(project.folder / "profiles" / "local")]
    done = forks.run("snakemake", arguments, folder, {**project.environment, "PYTHONPATH": ""}, 240)
    assert done.returncode == 0, done.stdout
    assert (folder / "results" / "figures" / "tiny" / "curve.pdf").exists()
    assert (folder / "mine.txt").exists()
    assert "theirs starts" in done.stdout
    assert list((folder / "results" / "studies").glob("tiny-*.json")), "the store knows that it is used"


def test_the_workflow_is_clean_for_snakemakes_linter() -> None:
    done = forks.run("snakemake", ["-n", "--lint"], ROOT, os.environ, 120)
    assert done.returncode == 0, done.stdout
