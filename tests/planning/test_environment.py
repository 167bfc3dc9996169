"""What is checked of the machine before any job starts."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nmepkg.errors import UserError
from nmepkg.files import locked
from nmepkg.planning import environment
from nmepkg.planning.environment import check_folder, check_start, check_versions, check_writable, working_alone

LOCK = Path(".snakemake/study.lock")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def not_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    """For root as well."""
    monkeypatch.setattr(environment.os, "access", lambda path, mode: False)


def refusal(check: object, *arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        check(*arguments)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, metadata: str) -> None:
    """A distribution before all others, with these lines of metadata."""
    description = folder / f"{name}-0.dist-info"
    description.mkdir()
    (description / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n{metadata}")
    monkeypatch.syspath_prepend(folder)


def test_the_installed_packages_will_do() -> None:
    check_versions()


@pytest.mark.parametrize(
    ("metadata", "found"),
    [("Version: 0.1\n", "0.1"), ("Version: 0.1.dev3+local\n", "0.1.dev3+local"), ("Version: ?\n", "?"), ("", "broken")],
)
def test_a_package_of_a_wrong_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str, found: str
) -> None:
    installed(monkeypatch, tmp_path, "optax", metadata)
    needed = next(str(r.specifier) for r in map(Requirement, requires("nmepkg") or ()) if r.name == "optax")
    assert refusal(check_versions) == (
        f"optax: {found}, but nmepkg needs {needed}; run: python -m pip install 'optax{needed}'"
    )


def test_a_newer_version_before_its_release_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path, "optax", "Version: 99.0rc1\n")
    check_versions()


def test_packages_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = 'Requires-Dist: elsewhere; sys_platform == "none"\nRequires-Dist: extra; extra == "dev"\n'
    installed(monkeypatch, tmp_path, "nmepkg", f"Version: 0\n{elsewhere}Requires-Dist: absent\n")
    assert refusal(check_versions) == ("absent: missing, but nmepkg needs it; run: python -m pip install 'absent'")


def test_the_package_itself_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment, "requires", absent)
    assert refusal(check_versions) == "nmepkg: not installed; run in its folder: python -m pip install --editable ."


def test_a_folder_that_is_there_or_can_be_will_do(tmp_path: Path) -> None:
    check_folder("store", tmp_path)
    check_folder("store", Path("results/of/mine"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    Path("file").touch()
    for folder in ("file", "file/results"):
        assert refusal(check_folder, "store", Path(folder)) == (
            "store: file is a file where a folder should be; choose another folder or move the file"
        )
    assert refusal(check_folder, "output", Path("a" * 300)).startswith("output: File name too long: aaa")


def test_paths_that_can_be_written(tmp_path: Path) -> None:
    check_writable("store", [tmp_path / "new" / "file", Path("file")])
    check_writable("store", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("not_writable")
def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    check_writable("store", [])
    assert refusal(check_writable, "store", [tmp_path / "runs" / "a.json", tmp_path / "b.json"]) == (
        f"store: {tmp_path} is not writable, and 2 files are missing there, the first is {tmp_path / 'runs' / 'a.json'}; "
        "choose another folder or ask for permission to write"
    )


def test_a_start_leaves_nothing(tmp_path: Path) -> None:
    check_start(LOCK, dry=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("not_writable")
@pytest.mark.parametrize("dry", [True, False])
def test_no_start_in_a_folder_that_is_not_writable(tmp_path: Path, dry: bool) -> None:
    assert refusal(check_start, LOCK, dry) == (
        f".snakemake: {tmp_path} is not writable; call snakemake in a folder that is yours"
    )


def test_one_workflow_at_a_time() -> None:
    message = f"{LOCK}: another snakemake is working on this study here; wait for it or stop it, or look on with -n"
    with working_alone(LOCK):
        assert refusal(check_start, LOCK, False) == message
        check_start(LOCK, dry=True)
        assert refusal(working_alone(LOCK).__enter__) == message
        with working_alone(LOCK.with_name("other.lock")):
            pass
    check_start(LOCK, dry=False)
    with working_alone(LOCK):
        pass


def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from nmepkg.planning.environment import working_alone\n"
    code += "alone = working_alone(Path(sys.argv[1])); alone.__enter__(); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, LOCK], timeout=60)
    assert done.returncode == -9
    assert LOCK.exists()
    with working_alone(LOCK):
        pass


def test_a_lock_that_cannot_be_written(tmp_path: Path) -> None:
    Path(".snakemake").touch()
    assert refusal(working_alone(LOCK).__enter__) == (
        f"{LOCK}: cannot be written (File exists); call snakemake in a folder that is yours"
    )


def test_what_fails_under_the_lock_is_not_blamed_on_it() -> None:
    with pytest.raises(BlockingIOError), working_alone(LOCK):
        raise BlockingIOError
    with locked(LOCK):
        pass
