"""Claims in a workflow: judged after their runs, told at the end, judged again where runs or claims changed, never else."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.workflow.project import STUDY, Project
from tests.workflow.test_report import explained, planned

CLAIM = (
    "figure: curve, says: SAM helps, a: {method: sam, activation: relu, rho: 0.1}, b: {method: sgd, activation: relu}, "
)
CLAIMED = (
    STUDY.replace("seeds: [0]", "seeds: [0, 1, 2]") + f"claims:\n  helps: {{{CLAIM}expect: greater, smallest: 1}}\n"
)


def verdicts(project: Project) -> list[dict[str, str]]:
    with (project.folder / "results/claims/tiny.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("claimed"))
    project.write("study.yaml", CLAIMED)
    return project


def test_claims_are_part_of_the_figures_and_told_at_the_end(project: Project) -> None:
    project.make_up()
    assert {reason["what"] for reason in project.nmepkg("explain")} == {"figure", "claims", "page", "origin"}
    done = project.snakemake("figures")
    assert done.returncode == 0, done.stdout
    assert "verdicts: 0 supported, " in done.stdout
    assert ": helps (mlp)" in done.stdout
    (row,) = verdicts(project)
    assert (row["claim"], row["n_seeds"], row["look"], row["declared"]) == ("helps", "3", "1", "after its runs")
    assert (project.folder / "results/figures/tiny/claims.pdf").exists()
    assert planned(project, "figures") == set()
    assert explained(project) == {"origin"}
    told = project.nmepkg("claims")
    assert [(one["claim"], one["verdict"]) for one in told] == [(row["claim"], row["verdict"])]


def test_another_smallest_effect_is_judged_again_at_the_same_look(project: Project) -> None:
    project.edit("study.yaml", "smallest: 1}", "smallest: 2}")
    assert planned(project, "claims") == {"Judging"}
    assert "claims" in explained(project)
    assert project.snakemake("claims").returncode == 0
    (row,) = verdicts(project)
    assert (row["smallest"], row["look"]) == ("2.0", "1")


def test_more_seeds_are_another_look(project: Project) -> None:
    project.edit("study.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    project.make_up()
    assert project.snakemake("claims").returncode == 0
    (row,) = verdicts(project)
    assert (row["n_seeds"], row["look"]) == ("4", "2")


def test_a_deleted_table_or_run_is_made_again(project: Project) -> None:
    before = verdicts(project)
    (project.folder / "results/claims/tiny.csv").unlink()
    assert planned(project, "claims") == {"Judging"}
    assert project.snakemake("claims").returncode == 0
    assert verdicts(project) == before
    next(Path(project.folder, "results/runs").glob("*/result.json")).unlink()
    assert "Training" in planned(project, "claims")
    project.make_up()


def test_a_claim_without_its_runs_is_refused_before_anything_starts(project: Project) -> None:
    project.edit("study.yaml", "rho: 0.1}, b:", "rho: 0.7}, b:")
    done = project.snakemake("figures")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1].startswith(
        "study.yaml: claims.helps: no run of 'sam' with 'relu' in setup 'mlp' at rho = 0.7, only at 0.1"
    )
