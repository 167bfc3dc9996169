"""A report tells what is so: it is made again where that changed, and refused where nobody did."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nmepkg import records
from nmepkg.storage import RESULT
from tests.workflow.project import STUDY, Project

FIGURES = Path("results/figures/tiny")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("reported"))
    project.make_up()
    done = project.snakemake("report")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def project(reported: Project) -> Iterator[Project]:
    """The same, put back as it was."""
    kept = ("study.yaml", "results", ".snakemake")
    before = reported.folder.with_name("before")
    before.mkdir()
    for name in kept:
        path = reported.folder / name
        shutil.copytree(path, before / name) if path.is_dir() else shutil.copy(path, before)
    try:
        yield reported
    finally:
        for name in kept:
            path = reported.folder / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            shutil.move(before / name, path)
        before.rmdir()


def planned(project: Project, target: str = "report", study: str = "study.yaml") -> set[str]:
    """Rules that a dry run lists, by their messages."""
    done = project.snakemake("-n", target, study=study)
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"Job \d+: (?!The )(\w+)", done.stdout))  # those of targets apart


def explained(project: Project) -> set[str]:
    return {reason["what"] for reason in project.nmepkg("explain")}


def test_what_says_nothing_new_makes_nothing_again(project: Project) -> None:
    """A comment, the order of keys, another way to write numbers, what a job asks for, another name of store and file."""
    content = yaml.safe_load(STUDY)
    content["experiments"]["main"]["rho"] = [0.0, 1.0e-1]
    content["setups"]["mlp"] |= {"resources": {"hours": 7}, "runs_per_job": 3, "device_hours": 2}
    content |= {"checkpoints": {"seconds": 1}, "store": "./results/", "limit_runs": 77}
    turned = {key: content[key] for key in reversed(content)}
    project.write("renamed.yaml", "# A comment.\n" + yaml.safe_dump(turned, sort_keys=False))
    study = project.folder / "study.yaml"
    study.rename(study.with_suffix(".old"))  # two studies of one name are refused
    try:
        assert planned(project, study="renamed.yaml") == set()
        assert planned(project, "all", study="renamed.yaml") == set()
    finally:
        (project.folder / "renamed.yaml").unlink()
        study.with_suffix(".old").rename(study)
    assert explained(project) == set()


def test_marks_of_a_killed_snakemake_make_nothing_again(project: Project) -> None:
    """It had asked for the data when it was killed; they are there all the same."""
    (arrays,) = (project.folder / "results" / "data").glob("*.npz")
    memory = project.folder / ".snakemake"
    name = str(arrays.relative_to(project.folder)).encode()
    (memory / "incomplete" / base64.urlsafe_b64encode(name).decode()).write_text('{"external_jobid": null}')
    assert planned(project) == set()
    shutil.rmtree(project.folder / "results" / "runs")
    assert planned(project) == {"Training", "Drawing", "Putting", "Collecting"}


def test_an_edit_reaches_the_report_or_it_is_refused(project: Project) -> None:
    shutil.rmtree(project.folder / ".snakemake")
    project.edit("study.yaml", "x: rho}", "x: rho, title: Another, caption: Now}")
    assert planned(project) == {"Drawing", "Putting", "Collecting"}
    assert explained(project) == {"figure", "page", "origin"}
    for target in ("report", "curve"):
        done = project.snakemake(target, "--report", "report.html")
        assert done.returncode == 2, done.stdout
        line = done.stdout.splitlines()[-1]
        assert line.startswith("--report: ")
        assert line.endswith("call the same without --report first")
        assert not (project.folder / "report.html").exists()
    done = project.snakemake("report")
    assert done.returncode == 0, done.stdout
    copy = project.folder / FIGURES / "study.yaml"
    assert copy.read_bytes() == (project.folder / "study.yaml").read_bytes()
    assert planned(project) == explained(project) == set()
    assert project.snakemake("report", "--report", "report.html").returncode == 0
    (project.folder / "report.html").unlink()


def test_what_no_figure_shows_reaches_the_report(project: Project) -> None:
    more = "  more: {setups: [mlp], methods: [sam], activations: [relu], rho: [0], seeds: [0]}\n"
    project.edit("study.yaml", "figures:\n", f"{more}figures:\n")
    assert planned(project) == {"Collecting"}
    assert explained(project) == {"origin"}


def test_what_was_collected_and_is_gone_is_collected_again(project: Project) -> None:
    (project.folder / FIGURES / "versions.csv").unlink()
    assert planned(project) == {"Collecting"}
    assert explained(project) == {"origin"}


def test_versions_are_those_of_the_runs_that_are_shown(project: Project) -> None:
    """A run that was trained again by other versions, and a figure that was drawn again without the report."""
    (path, *_) = (project.folder / "results").glob("runs/*/result.json")
    content = records.read(path, RESULT, {})
    provenance = {**content["provenance"], "jax": "99.9"}
    records.write(path, RESULT, {**content, "provenance": provenance})
    (project.folder / FIGURES / "curve.csv").unlink()
    done = project.snakemake("figures")
    assert done.returncode == 0, done.stdout
    assert "99.9" in (project.folder / FIGURES / "curve.runs.csv").read_text()
    assert "99.9" not in (project.folder / FIGURES / "versions.csv").read_text()
    assert planned(project) == {"Collecting"}
    assert explained(project) == {"origin"}
    assert project.snakemake("report").returncode == 0
    assert "99.9" in (project.folder / FIGURES / "versions.csv").read_text()


HOSTILE = r"""A {max} {{b}} {0} {wildcards.run} $\rho_{max}$ </script> "q" 'q' `t` *e* |s| ref_ \ % $(id) {{ 7*7 }} φ‖ {ü} {"""
CAPTION = f"{HOSTILE}\n\n  - item\n====\n1. one\n.. note:: two\n"


def test_no_text_of_a_study_is_taken_for_a_pattern(project: Project) -> None:
    """Braces, quotes, blanks and markup in a title, a caption, labels, and the study's own path."""
    content = yaml.safe_load(STUDY)
    content["figures"]["curve"] |= {"title": HOSTILE, "caption": CAPTION}
    content["setups"]["mlp"]["title"] = HOSTILE
    content["experiments"]["main"]["methods"] = [{"name": "sam", "label": HOSTILE[:60]}]
    content["experiments"]["main"]["activations"] = [{"name": "relu", "label": HOSTILE[:60]}]
    folder = project.folder / "a {run} b"
    folder.mkdir()
    name = 'a {run} b/s\'tu,dy "x" {wild} $H {0} é.yaml'
    project.write(name, yaml.safe_dump(content, allow_unicode=True))
    done = project.snakemake("report", study=name)
    assert done.returncode == 0, done.stdout
    done = project.snakemake("report", "--report", "report.html", study=name)
    assert done.returncode == 0, done.stdout
    page = (project.folder / "report.html").read_text(encoding="utf-8")
    shutil.rmtree(folder)
    (project.folder / "report.html").unlink()
    assert "System Message" not in page
    found, _ = json.JSONDecoder().raw_decode(page[page.index("var results = {") + len("var results = ") :])
    shown = found[str(FIGURES / "curve.svg")]
    assert shown["labels"]["figure"].replace("\N{WORD JOINER}", "") == f"01. {HOSTILE}"
    words = html.unescape(re.sub("<[^>]+>", " ", shown["caption"])).split()
    assert " ".join(words).startswith(" ".join(CAPTION.split()))
    assert f"Study {name}, figure curve" in " ".join(words)
