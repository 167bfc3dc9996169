"""Of which commit a result is, if its code is under version control at all, and in what its products were computed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from nmepkg.training.provenance import commit, products


def git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("platform", "capability", "short", "shorter"),
    [
        ("cpu", None, "float32", "float32"),
        ("gpu", "7.0", "float32", "float32"),  # V100
        ("gpu", "8.0", "tensorfloat32", "tensorfloat32"),  # A100
        ("gpu", "10.0", "tensorfloat32", "tensorfloat32"),
        ("gpu", "gfx942", "tensorfloat32", "tensorfloat32"),
        ("tpu", None, "bfloat16_3x", "bfloat16"),
    ],
)
def test_products_are_what_the_device_makes_of_what_is_asked(
    platform: str, capability: str | None, short: str, shorter: str
) -> None:
    device = SimpleNamespace(platform=platform, **({"compute_capability": capability} if capability else {}))
    assert [products(device, asked) for asked in ("float32", "tensorfloat32", "bfloat16")] == [
        "float32",
        short,
        shorter,
    ]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone with one commit."""
    (tmp_path / "project" / "nmepkg").mkdir(parents=True)
    (tmp_path / "project" / "nmepkg" / "__init__.py").write_text("")
    repository(tmp_path / "project")
    return tmp_path / "project"


def repository(folder: Path) -> str:
    """Makes a repository of a folder and returns its commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")
    return git(folder, "rev-parse", "HEAD")


def test_a_clone_has_its_commit(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert commit(project) == {"git_commit": head, "git_dirty": False, "git_problem": None}
    (project / "notes.txt").write_text("mine")
    assert commit(project)["git_dirty"] is False
    (project / "nmepkg" / "__init__.py").write_text("edited = True")
    assert commit(project)["git_dirty"] is True


def test_variables_of_git_name_no_other_repository(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where dotfiles are kept, or in a hook."""
    (tmp_path / "dotfiles").mkdir()
    other = repository(tmp_path / "dotfiles")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "dotfiles" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "dotfiles"))
    assert commit(project)["git_commit"] not in (None, other)


@pytest.mark.parametrize("added", [False, True])
def test_a_copy_inside_another_repository_has_none(tmp_path: Path, added: bool) -> None:
    copy = tmp_path / "thesis" / "code"
    (copy / "nmepkg").mkdir(parents=True)
    (copy / "nmepkg" / "__init__.py").write_text("")
    (tmp_path / "thesis" / ".gitignore").write_text("" if added else "code")
    repository(tmp_path / "thesis")
    found = commit(copy)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)
    assert "no repository of its own" in found["git_problem"]


def test_a_folder_that_became_a_repository_without_the_code_has_none(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "nmepkg").mkdir()
    (tmp_path / "nmepkg" / "__init__.py").write_text("")
    assert commit(tmp_path)["git_commit"] is None


def test_a_git_that_fails_is_not_clean(project: Path) -> None:
    (project / ".git" / "index").write_bytes(b"damaged")
    found = commit(project)
    assert (found["git_commit"], found["git_dirty"]) == (None, None)
    assert found["git_problem"]


def test_without_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit(project) == {"git_commit": None, "git_dirty": None, "git_problem": "git is not installed"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another")
def test_a_clone_of_another_owner_has_its_commit(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    for path in [project, *project.rglob("*")]:
        os.chown(path, 65534, 65534)
    assert commit(project)["git_commit"] == head
