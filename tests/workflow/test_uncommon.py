"""Calls and surroundings that few have, in which nothing may be lost, and what is wrong is said in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.workflow.project import STUDY, Project
from tests.workflow.test_refusals import obey_permissions, refused

NOT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("made_up"))
    project.make_up()
    project.snakemake(study="none.yaml")  # makes Snakemake's own folders
    return project


@pytest.fixture
def project(made_up: Project) -> Iterator[Project]:
    yield made_up
    made_up.write("study.yaml", STUDY)


def nmepkg(project: Project, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*obey_permissions(), sys.executable, "-m", "nmepkg", *arguments, "--study", "study.yaml"],
        cwd=project.folder,
        env={**project.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("more", [[], ["-n"]])
def test_all_output_of_a_store_is_not_one_studys_to_delete(project: Project, more: list[str]) -> None:
    before = sorted(project.folder.glob("results/**/*"))
    done = project.snakemake("all", "--delete-all-output", *more)
    assert done.returncode == 2, done.stdout
    assert "delete what no study uses by 'python -m nmepkg gc --yes'" in done.stdout.splitlines()[-1]
    assert sorted(project.folder.glob("results/**/*")) == before


def test_where_the_terminal_is_not_utf8(project: Project) -> None:
    """What a study says is read as UTF-8 all the same, and what cannot be shown is shown otherwise."""
    project.edit("study.yaml", "    data: {", "    title: Réseau φ\n    data: {")
    done = subprocess.run(
        project.command("-n", "all"), cwd=project.folder, env={**project.environment, **NOT_UTF8}, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"Drawing curve" in done.stdout + done.stderr
    for command in ("status", "explain"):
        told = nmepkg(project, command, **NOT_UTF8)
        assert told.returncode == 0, told.stderr
        assert told.stdout.isascii()
        assert "curve" in told.stdout


@pytest.mark.parametrize("key", ["store", "output"])
def test_a_path_that_the_terminal_cannot_write(project: Project, key: str) -> None:
    project.edit("study.yaml", "name: tiny\n", f"name: tiny\n{key}: résultats\n")
    line = refused(project, environment=NOT_UTF8)
    assert line.startswith(f"study.yaml: {key}: 'r\\xe9sultats")
    assert "no path in this terminal's encoding, ascii; set LC_ALL=C.UTF-8" in line
    if key == "store":
        assert nmepkg(project, "status", **NOT_UTF8).stderr.count("\n") == 1


@pytest.mark.parametrize(("key", "below"), [("store", ""), ("output", "/mine/results")])
def test_a_link_to_what_is_not_there(project: Project, key: str, below: str) -> None:
    link = project.folder / "scratch"
    link.symlink_to("/no/such/scratch")
    try:
        project.edit("study.yaml", "name: tiny\n", f"name: tiny\n{key}: scratch{below}\n")
        line = refused(project)
        assert line.startswith(
            f"study.yaml: {key}: scratch is a link to /no/such/scratch, which is not there; mount that"
        )
        if key == "store":
            told = nmepkg(project, "status")
            assert (told.returncode, told.stderr) == (2, f"nmepkg: {line}\n")
    finally:
        link.unlink()


@pytest.mark.parametrize("closed", ["runs/*sam*", "runs/*sam*/result.json", "data"])
def test_what_is_closed_to_others(project: Project, closed: str) -> None:
    """As a colleague's umask of 077 leaves it."""
    path = next((project.folder / "results").glob(closed))
    name = path.relative_to(project.folder)
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        line = refused(project, "-n", "all", before_command=obey_permissions())
        assert line.startswith(f"study.yaml: store: {name} is closed to you")
        assert f"have the owner call 'chmod -R a+rX {name}', or choose another store" in line
        told = nmepkg(project, "status")
        assert (told.returncode, told.stderr) == (2, f"nmepkg: {line}\n")
    finally:
        path.chmod(mode)


def test_what_is_closed_and_of_another_study_stays_and_is_in_nobodys_way(project: Project) -> None:
    runs = project.folder / "results" / "runs"
    for name in ("theirs", "unreadable"):
        shutil.copytree(next(runs.glob("*sam*")), runs / name)
    (project.folder / "config").mkdir(exist_ok=True)
    try:
        (runs / "theirs").chmod(0)
        (runs / "unreadable" / "result.json").chmod(0)
        for command in ("status", "explain", "adopt", "gc"):
            told = nmepkg(project, command)
            assert told.returncode == 0, told.stderr
            assert str(runs.relative_to(project.folder) / "theirs") not in told.stdout
    finally:
        (runs / "theirs").chmod(0o755)
        for name in ("theirs", "unreadable"):
            shutil.rmtree(runs / name)


@pytest.mark.parametrize("together", [False, True])
def test_a_run_that_lost_a_file_is_trained_again(project: Project, together: bool) -> None:
    """And what is drawn of it; Snakemake, ``explain`` and ``status`` say the same."""
    if together:
        project.edit("study.yaml", "    data: {", "    runs_per_job: 2\n    data: {")
    path = next((project.folder / "results").glob("runs/*sam*/params.npz"))
    path.unlink()
    try:
        done = project.snakemake("-n", "curve")
        reasons = {(reason["what"], reason["kind"]): reason for reason in project.nmepkg("explain")}
        status = project.nmepkg("status")["runs"]
    finally:
        path.touch()
    assert done.returncode == 0, done.stdout
    assert f"{'Trained:' if together else 'Training'} {path.parent.name}\n" in done.stdout
    assert reasons["run", "deleted"]["detail"] == f"{path.relative_to(project.folder)} is gone, so it is trained again"
    assert (status["done"], status["missing"]) == (1, 1)
