"""A lab's own code beside its study: from YAML to figures, in the hashes of what uses it, and nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.study.editors import findings
from tests.workflow import forks
from tests.workflow.project import ROOT, Project

LAB, TEMPLATE = ROOT / "tests" / "lab", ROOT / "nmepkg" / "template"


def lay_out(folder: Path) -> None:
    """The files of the lab, whose method is that of the template."""
    for package in (TEMPLATE / "mylab", LAB / "mylab"):
        shutil.copytree(package, folder / "mylab", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("study.yaml", "table.csv"):
        shutil.copy(LAB / name, folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("lab"))
    lay_out(project.folder)
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def lab(finished: Project) -> Iterator[Project]:
    """The finished study, whose files are as they were after the test."""
    yield finished
    lay_out(finished.folder)


def changes(project: Project) -> set[str]:
    """What would be computed not only as what it is made of comes first: ``mylab.scales: damped-sgd-mish``."""
    found = set()
    for reason in project.nmepkg("explain"):
        if reason["kind"] != "inputs":
            name = "-".join(reason["id"].split("-")[2:-2]) if reason["what"] == "run" else reason["what"]
            found.add(f"{', '.join(reason['modules']) or reason['kind']}: {name}")
    return found


def test_everything_of_a_lab_is_trained_measured_judged_and_drawn(finished: Project) -> None:
    figures = finished.folder / "results" / "figures" / "lab"
    accuracy, weights = (pd.read_csv(figures / f"{name}.csv") for name in ("accuracy", "weights"))
    assert set(accuracy["x_name"]) == {"tau"}
    assert {"Mish", "Mish (sharpness = 2)", "ReLU, box φ″ (width = 0.5)"} == set(accuracy["activation_label"])
    assert {"Tilted", "Damped SGD"} == set(accuracy["method_label"])
    assert accuracy["y_mean"].between(0.3, 1).all()
    assert (weights["y_mean"] > 1).all()
    assert (figures / "weights.pdf").exists(), "a kind of figure of the lab's"
    verdicts = pd.read_csv(finished.folder / "results" / "claims" / "lab.csv")
    assert verdicts["a"].str.contains("τ = 0.5").all()
    assert finished.nmepkg("status")["figures"]
    assert not changes(finished)


def test_an_editor_knows_the_keys_of_the_lab(lab: Project) -> None:
    words = ["schema", "--study", "study.yaml"]
    lab.write("study.schema.json", forks.run("nmepkg", words, lab.folder, lab.environment, 120, apart=True).stdout)
    assert findings(lab.folder / "study.yaml") == ""
    for key in ("sharpness: [1", "tau: [0", "damping: 1", "fill: f"):
        lab.edit("study.yaml", key, f"x{key}")
        assert f"'x{key.partition(':')[0]}' was unexpected" in findings(lab.folder / "study.yaml")
        lay_out(lab.folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "scales",
            "1.0",
            "2.0",
            # Also of the box, whose module imports it: what is measured of a ReLU is measured with it.
            {"mylab.scales: damped-sgd-mish", "mylab.scales: damped-tilted-0.5-mish", "mylab.scales: measurement"},
        ),
        (
            "methods",
            "weights * losses",
            "weights + losses",
            {"mylab.methods: damped-tilted-0.5-mish", "mylab.methods: damped-tilted-0.5-relu"},
        ),
        ("measurements", "square", "abs", {"mylab.measurements: measurement"}),
        ("figures", "0.2", "0.3", {"mylab.figures: figure"}),
        ("methods", "return method", "return method  # of Li et al.", set()),
        ("nme", "features of both", "all features of both", set()),
    ],
)
def test_an_edit_reruns_what_uses_it(lab: Project, file: str, old: str, new: str, expected: set[str]) -> None:
    lab.edit(f"mylab/{file}.py", old, new)
    assert changes(lab) == expected


def test_a_label_draws_figures_again_and_trains_nothing(lab: Project) -> None:
    lab.edit("mylab/nme.py", 'label="Mish"', 'label="MISH"')
    assert {reason["what"] for reason in lab.nmepkg("explain")} == {"figure", "page", "origin"}


def test_the_content_of_a_file_is_what_data_are_wherever_it_lies(lab: Project) -> None:
    (lab.folder / "moved").mkdir()
    moved = shutil.copy(lab.folder / "table.csv", lab.folder / "moved" / "rows.csv")
    lab.edit("study.yaml", "table.csv", "moved/rows.csv")
    assert not changes(lab)
    with Path(moved).open("a", encoding="utf-8") as file:
        file.write("0,0,0,1\n")
    assert {name.partition(": ")[2] for name in changes(lab)} > {"data", "damped-tilted-0.5-mish", "damped-sgd-relu"}


def test_a_job_whose_code_was_edited_while_it_waited_is_refused(lab: Project, tmp_path: Path) -> None:
    """Its runs of other methods are trained."""
    (job,) = (lab.folder / ".snakemake" / "jobs" / "lab" / "train_together").glob("*.json")
    runs = lab.folder / "results" / "runs"
    kept = shutil.move(runs, tmp_path / "runs")
    lab.edit("mylab/methods.py", "weights * losses", "weights + losses")
    done = subprocess.run(
        [sys.executable, "workflow/scripts/train_together.py", "--job", str(job)],
        cwd=lab.folder,
        env=lab.environment,
        capture_output=True,
        text=True,
    )
    trained = len(list(runs.glob("*/result.json")))
    shutil.rmtree(runs)
    shutil.move(kept, runs)
    assert done.stdout.splitlines()[-1].startswith("6 failed"), done.stdout + done.stderr
    assert trained == 6
    for log in (lab.folder / "results" / "logs" / "train").glob("*tilted*.log"):
        assert "the code changed since this job was planned" in log.read_text(encoding="utf-8")


def test_in_small(lab: Project) -> None:
    """Rows of a table become noise of their shape, and options are the smallest that the lab says."""
    done = lab.snakemake("weights", "--config", "study=study.yaml", "smoke=true", study=None)
    assert done.returncode == 0, done.stdout
    assert (lab.folder / "results" / "figures" / "lab-smoke" / "weights.csv").exists()
    (data,) = (lab.folder / "results" / "data").glob("generated-*.json")
    assert '"train_x": [' in data.read_text(encoding="utf-8")


def test_a_new_folder_runs_at_once(tmp_path: Path) -> None:
    """By the workflow as a module, with a profile that Snakemake takes unasked, and with a schema of its own keys."""
    folder = tmp_path / "mine"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def call(*words: str, cwd: Path = folder) -> subprocess.CompletedProcess[str]:
        return forks.run(words[0], words[1:], cwd, environment, 240, apart=True)

    done = call("nmepkg", "new", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "next: cd mine && snakemake" in done.stdout
    assert call("nmepkg", "schema", "--study", "study.yaml").stdout == (folder / "study.schema.json").read_text()
    assert findings(folder / "study.yaml") == ""
    done = call("snakemake", "--config", "smoke=true")
    assert done.returncode == 0, done.stdout + done.stderr
    points = pd.read_csv(folder / "results" / "figures" / "mine-smoke" / "tilted.csv")
    assert {"ReLU", "Mish", "Mish (sharpness = 4)"} == set(points["activation_label"])
    done = call("nmepkg", "new", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "mine: is there, and not empty; name another folder" in done.stderr
