"""Real trainings of a tiny study, and what runs again afterwards."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.workflow.project import Project

# A setup that diverges at once, and a figure that shows it beside the other.
WILD = (
    (
        "experiments:\n",
        """\
  wild:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 1e20}
    training: {epochs: 1, batch_size: 16}
experiments:
  wild: {setups: [wild], methods: [sam], activations: [relu], rho: [0.1], seeds: [0]}
""",
    ),
    ("figures:\n", "figures:\n  both: {experiments: [main, wild], x: rho, columns: setup}\n"),
)

# What is measured of all three runs, and a landscape.
MEASURED = (
    (
        "experiments:\n",
        """\
measurements:
  step: {kind: alignment, at: [initial, final], examples: 32}
landscapes:
  plane:
    model: {name: mlp, width: 2, depth: 1}
    inputs: 2
    activations: [relu, gelu]
    weights: [[0, 0], [1, 0]]
    range: [-1, 1]
    points: 5
experiments:
""",
    ),
    ("rho: [0, 0.1], seeds: [0]", "rho: [0, 0.1], seeds: [0], measurements: [step]"),
    ("rho: [0.1], seeds: [0]", "rho: [0.1], seeds: [0], measurements: [step]"),
    (
        "figures:\n",
        """\
figures:
  step: {experiments: [main, wild], measurement: step, x: rho, y: norm_H, lines: at, columns: setup}
  plane: {kind: landscape, landscape: plane, title: A plane, caption: Its caption.}
""",
    ),
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, set[str]]:
    """A study from nothing to its figures, and the runs that were planned."""
    project = Project(tmp_path_factory.mktemp("drawn"))
    for old, new in WILD:
        project.edit("study.yaml", old, new)
    planned = project.plan()[1]
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    assert "(100%) done" in done.stdout
    return project, planned


def test_a_study_from_nothing_to_its_figure(drawn: tuple[Project, set[str]]) -> None:
    project, planned = drawn
    results = {
        path.parent.name: json.loads(path.read_text()) for path in project.folder.glob("results/runs/*/result.json")
    }
    assert set(results) == planned
    assert all(result["run"] == run for run, result in results.items())
    diverged = {run for run, result in results.items() if result["status"] == "diverged"}
    assert len(results) == 3
    assert [results[run]["spec"]["optimizer"]["learning_rate"] for run in diverged] == [1e20]

    figures = project.folder / "results/figures/tiny"
    endings = ("pdf", "svg", "png", "csv", "runs.csv")
    assert {path.name for path in figures.iterdir()} == {
        "records",
        "index.html",
        *(f"{name}.{ending}" for name in ("both", "curve") for ending in endings),
    }
    shown = {}
    for name in ("both", "curve"):
        with (figures / f"{name}.runs.csv").open(newline="") as file:
            shown[name] = {row["run"]: row["status"] for row in csv.DictReader(file)}
    assert shown["both"] == {run: results[run]["status"] for run in planned}, "diverged runs are shown as such"
    assert set(shown["curve"]) == planned - diverged
    assert project.plan() == (set(), set(), set()), "a second run"


def test_measurements_landscapes_and_the_report(drawn: tuple[Project, set[str]], tmp_path: Path) -> None:
    finished, planned = drawn
    project = finished.copy(tmp_path)
    for old, new in MEASURED:
        project.edit("study.yaml", old, new)
    done = project.snakemake("report")
    assert done.returncode == 0, done.stdout

    files = list(project.folder.glob("results/measurements/*/*.json"))
    measured = {path.parent.name: json.loads(path.read_text()) for path in files}
    assert set(measured) == planned
    assert len(files) == len(planned) == 3
    statuses = {run: [point["status"] for point in result["points"]] for run, result in measured.items()}
    assert sorted(statuses.values()) == [["measured", "measured"]] * 2 + [["measured", "not_finite"]]
    with (project.folder / "results/figures/tiny/step.runs.csv").open(newline="") as file:
        assert {row["run"] for row in csv.DictReader(file)} == planned
    assert len(list(project.folder.glob("results/landscapes/*.npz"))) == 2
    assert (project.folder / "results/figures/tiny/study.yaml").read_text() == (
        project.folder / "study.yaml"
    ).read_text()
    assert project.plan("report") == (set(), set(), set())

    module = "nmepkg/measurement/alignment.py"
    project.write(module, (project.folder / module).read_text() + "\nNEW = 1\n")
    planned_again = project.snakemake("-n", "report").stdout
    assert planned_again.count("Measuring alignment") == 3
    assert "Training" not in planned_again
    assert "Drawing step" in planned_again
    assert "Drawing both" not in planned_again
    project.write(module, (project.folder / module).read_text().removesuffix("\nNEW = 1\n"))

    done = project.snakemake("report", "--report", "report.html")
    assert done.returncode == 0, done.stdout
    report = (project.folder / "report.html").read_text(encoding="utf-8")
    for text in ("A plane", "Its caption.", "study.yaml", "versions.csv", "plane.svg", "step.csv"):
        assert text in report
    assert 'src="http' not in report


def test_a_failed_run_shows_its_log_and_fails_the_workflow(project: Project) -> None:
    project.edit("study.yaml", "batch_size: 16", "batch_size: 500")
    project.edit("study.yaml", "rho: [0, 0.1]", "rho: [0.1]")
    done = project.snakemake()
    assert done.returncode != 0
    assert "training.batch_size: 500 is more than the" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list(project.folder.glob("results/figures/*/*"))
