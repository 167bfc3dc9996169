"""Bad studies and bad environments: each ends in one line with file, key and remedy, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from nmepkg.files import locked
from tests.workflow.project import STUDY, Project
from tests.workflow.refusals import EACH_KIND, IMAGENET, LANDSCAPE, STUDIES, edited, put

SECONDS = 20  # four times what a refusal may take, as machines may be busy; a hang ends here


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One copy for all: a refusal leaves nothing behind. The first call compiles the package."""
    project = Project(tmp_path_factory.mktemp("project"))
    (project.folder / "study.yaml").unlink()
    project.snakemake()
    return project


def refused(
    project: Project,
    *arguments: str,
    study: str | None = "study.yaml",
    variables: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    before_command: Sequence[str] = (),
) -> str:
    """The line that a real call ends in; checks that there is no other, no file, and the exit code of a refusal.

    Args:
      variables: of the environment.
      environment: variables that Python reads when it starts, so that it has to.
    """
    before = listing(project)
    if before_command or environment:
        done = subprocess.run(
            [*before_command, *project.command(*arguments, study=study)],
            cwd=project.folder,
            env={**project.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
    else:
        done = project.snakemake(*arguments, study=study, variables=variables, timeout=SECONDS)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("Using profile", "Failed to setup log"))]
    assert done.returncode == 2, done.stdout
    assert len(lines) == 1, done.stdout
    assert "Traceback" not in done.stdout
    assert listing(project) == before
    return lines[0]


def listing(project: Project) -> dict[str, tuple[int, int]]:
    """All files and folders, but caches of code and empty logs: Snakemake opens one before it reads a line of the workflow."""
    found = {}
    for path in sorted(project.folder.rglob("*")):
        name, status = str(path.relative_to(project.folder)), path.lstat()
        empty_log = name.startswith(".snakemake/log/") and status.st_size == 0
        if not empty_log and name != ".snakemake/log" and "__pycache__" not in name:
            found[name] = (status.st_mtime_ns, status.st_size)
    return found


@pytest.mark.parametrize("case", EACH_KIND)
def test_a_bad_study(project: Project, case: str) -> None:
    """All of them are refused in tests/planning/test_start.py: here it is Snakemake that ends as it should."""
    content, place, remedy = STUDIES[case]
    put(content, project.folder / "study.yaml")
    line = refused(project)
    assert line.startswith(f"study.yaml: {place}")
    assert remedy in line
    assert len(line) < 400


def test_a_folder_is_no_study(project: Project) -> None:
    line = refused(project, study="profiles")
    assert line == "profiles: cannot be read: Is a directory; check the name of the file"


@pytest.mark.parametrize(
    "options",
    [
        ["--config", "study=study.yaml", "epochs=3"],
        ["--config", "study=3"],
        ["--configfile", "profiles/local/config.yaml", "profiles/local/config.yaml"],
        ["--config", "study=study.yaml", "smoke=true", "epochs=3"],
    ],
    ids=["an unknown option", "a number", "two studies", "an unknown option beside a known one"],
)
def test_options_that_name_no_study(project: Project, options: list[str]) -> None:
    line = refused(project, *options, study=None)
    assert line == (
        "a workflow has one study (--config study=FILE, or --configfile FILE), and besides no options but smoke=true, "
        "select='[a, b]' and store=FOLDER"
    )


@pytest.fixture
def studied(project: Project) -> Project:
    project.write("study.yaml", STUDY)
    return project


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("smoke=maybe", "smoke: 'maybe' is not true or false; write, say, true"),
        ("select=mlp,mpl", "select[1]: unknown setup 'mpl'; did you mean 'mlp'?"),
        ("store=$NO_SUCH/x", "store: the variable $NO_SUCH is not set; set it, or write the folder's path"),
        ("select=[mpl]", "select[0]: unknown setup 'mpl'; did you mean 'mlp'?"),
    ],
)
def test_options_that_are_wrong(studied: Project, option: str, message: str) -> None:
    line = refused(studied, "--config", "study=study.yaml", option, study=None)
    assert line == f"study.yaml: {message}"


def test_a_target_that_is_none(studied: Project) -> None:
    done = studied.snakemake("figure_11")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == (
        "figure_11: neither a figure of study.yaml nor another target; choose from figures, measurements, report, all, curve"
    )


def test_two_studies_that_would_draw_over_each_other(studied: Project) -> None:
    studied.write("copy.yaml", STUDY.replace("seeds: [0]", "seeds: [0, 1]"))
    line = refused(studied)
    assert line == (
        "study.yaml: name: copy.yaml has the same name and output, so that each would draw over the other's figures; "
        "give one of them another name"
    )
    studied.write("copy.yaml", STUDY.replace("name: tiny", "name: tiny\noutput: elsewhere"))
    assert studied.snakemake("-n").returncode == 0


def test_archives_without_what_reads_them(project: Project, tmp_path: Path) -> None:
    """A module of the same name that is not there for the import system, as one that is not installed."""
    project.write("study.yaml", edited(("{name: mnist1d, samples: 200}", "cifar10")))
    hook = "find = __import__('importlib.util').util\nold = find.find_spec\n"
    hook += "find.find_spec = lambda name, *more: None if name == 'tensorflow_datasets' else old(name, *more)\n"
    (tmp_path / "sitecustomize.py").write_text(hook)
    line = refused(project, environment={"PYTHONPATH": f"{tmp_path}{os.pathsep}{project.folder}"})
    assert line == (
        "study.yaml: setups: 'cifar10' is read by tensorflow_datasets, which is not installed; "
        "run: python -m pip install 'nmepkg[prepare]'"
    )


def test_a_dry_run_tells_what_is_missing_and_goes_on(project: Project) -> None:
    project.write("study.yaml", IMAGENET)
    done = project.snakemake("-n")
    assert done.returncode == 0
    assert "study.yaml: sources.imagenet2012: missing" in done.stdout
    assert done.stdout.count("Training ") == 2


def test_missing_data_stop_a_target_that_needs_them_alone(project: Project) -> None:
    """What else the study has needs none: a landscape is drawn, a curve is not."""
    landscape = LANDSCAPE.replace("[3, 1]", "[1, 1]").replace("range", "points: 5, range")
    text = IMAGENET.replace("figures:\n", f"{landscape}figures:\n  plane: {{kind: landscape, landscape: plane}}\n")
    project.write("study.yaml", text)
    done = project.snakemake("plane")
    assert done.returncode == 0, done.stdout
    assert "imagenet2012" not in done.stdout
    shutil.rmtree(project.folder / "results")
    done = project.snakemake("curve")
    assert done.returncode == 2, done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith("study.yaml: sources.imagenet2012: missing")
    assert not (project.folder / "results").exists()


@pytest.mark.parametrize(
    ("distribution", "metadata", "message"),
    [
        (
            "jax-0.1",
            "Name: jax\nVersion: 0.1\n",
            "jax: 0.1, but nmepkg needs >=",
        ),
        (
            "nmepkg-0.1.0",
            "Name: nmepkg\nVersion: 0.1.0\nRequires-Dist: absent>=3\n",
            "absent: missing, but nmepkg needs >=3; run: python -m pip install 'absent>=3'",
        ),
    ],
    ids=["of another version", "missing"],
)
def test_a_package(studied: Project, tmp_path: Path, distribution: str, metadata: str, message: str) -> None:
    (tmp_path / f"{distribution}.dist-info").mkdir()
    (tmp_path / f"{distribution}.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\n{metadata}")
    line = refused(studied, variables={"PYTHONPATH": f"{tmp_path}{os.pathsep}{studied.folder}"})
    assert line.startswith(message)


def test_another_workflow_on_the_study(studied: Project) -> None:
    with locked(studied.folder / ".snakemake" / "tiny.lock"):
        line = refused(studied)
        assert line.startswith(".snakemake/tiny.lock: another snakemake is working on this study here; wait for it")
        assert studied.snakemake("-n").returncode == 0  # a look is free


@pytest.mark.parametrize(
    ("key", "folder", "message"),
    [
        ("store", "Snakefile", "Snakefile is a file where a folder should be"),
        ("output", "study.yaml/out", "study.yaml is a file where a folder should be"),
        ("store", "a" * 300, "File name too long"),
    ],
    ids=["a file", "in a file", "a long name"],
)
def test_a_folder_that_cannot_be(project: Project, key: str, folder: str, message: str) -> None:
    project.write("study.yaml", edited(("name: tiny", f"name: tiny\n{key}: {folder}")))
    line = refused(project)
    assert line.startswith(f"study.yaml: {key}: {message}")
    assert "choose another folder" in line


def obey_permissions() -> list[str]:
    """The words before a command with which root, whom permissions do not bind, obeys them as anyone does."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("root passes over permissions, and cannot be kept from it here")
    return words


@pytest.fixture
def locked_folder(project: Project) -> Iterator[Path]:
    folder = project.folder / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    folder.rmdir()


@pytest.mark.parametrize("key", ["store", "output"])
def test_a_locked_store(project: Project, locked_folder: Path, key: str) -> None:
    project.write("study.yaml", edited(("name: tiny", f"name: tiny\n{key}: locked/results")))
    line = refused(project, before_command=obey_permissions())
    assert line.startswith(f"study.yaml: {key}: locked is not writable, and 2 files are missing there")
    assert "choose another folder or ask for permission" in line


def test_a_locked_folder(studied: Project, locked_folder: Path) -> None:
    """Snakemake's complaint that it cannot write its log comes first."""
    line = refused(studied, "--directory", "locked", study="../study.yaml", before_command=obey_permissions())
    assert line == f".snakemake: {locked_folder} is not writable; call snakemake in a folder that is yours"
