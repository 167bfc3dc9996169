"""What is imported is declared, and the lock has one version of each package for every Python."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")

# Modules that are called otherwise than the distributions they come in.
DISTRIBUTIONS = {"PIL": "pillow", "absl": "absl-py", "vl_convert": "vl-convert-python", "yaml": "pyyaml"}


def declared(requirements: list[str]) -> set[str]:
    """The distributions that a list of requirements names; extras of the project itself are taken apart."""
    names = set()
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                names |= declared(PROJECT["optional-dependencies"][extra])
        else:
            names.add(canonicalize_name(requirement.name))
    return names


def imported(tree: ast.AST, own: set[str], within: bool = False) -> Iterator[tuple[str, bool]]:
    """The distributions that a module imports from, and whether a function does so, when it is called."""
    for node in ast.iter_child_nodes(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        for top in {module.split(".")[0] for module in modules} - sys.stdlib_module_names - own:
            yield canonicalize_name(DISTRIBUTIONS.get(top, top)), within
        yield from imported(node, own, within or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def scripts(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def undeclared(text: str, folder: str) -> set[str]:
    """The distributions that a module has no right to import from, where it does."""
    own = {PROJECT["name"], "tests"} | {path.stem for path in scripts(folder)}
    extras = PROJECT["optional-dependencies"]
    always = declared(PROJECT["dependencies"])
    when_called = always.union(*(declared(extras[name]) for name in ("lineax", "prepare", "slurm", "stream")))
    return {name for name, within in imported(ast.parse(text), own) if name not in (when_called if within else always)}


@pytest.mark.parametrize("folder", ["nmepkg", "workflow"])
def test_what_is_imported_is_declared(folder: str) -> None:
    found = {str(path): undeclared(path.read_text(encoding="utf-8"), folder) for path in scripts(folder)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os.path, numpy.linalg as la\nfrom __future__ import annotations\nfrom . import there", set()),
        ("import yaml\nimport grain", {"grain"}),
        ("def f():\n    from PIL import Image\n    import elsewhere.part", {"elsewhere"}),
        ("if True:\n    try:\n        import tensorflow\n    except ImportError: pass", {"tensorflow"}),
        ("class A:\n    import absl\n    def f(self): from absl import flags", {"absl-py"}),
        ("def f():\n    import pytest", {"pytest"}),
    ],
)
def test_what_is_not_declared_is_found(text: str, found: set[str]) -> None:
    assert undeclared(text, "nmepkg") == found


def test_what_is_declared_is_imported() -> None:

    own = {PROJECT["name"]}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in [*scripts("nmepkg"), *scripts("workflow")]]
    used = {name for tree in trees for name, _ in imported(tree, own)}
    assert declared(PROJECT["dependencies"]) <= used


def locked() -> list[Requirement]:
    return [Requirement(line) for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]


def test_the_lock_has_one_version_for_every_python() -> None:
    """Of all packages; and what computes is there for every Python."""
    names = [requirement.name for requirement in locked()]
    assert sorted(set(names)) == sorted(names)
    always = declared(PROJECT["dependencies"])
    assert {r.name: str(r.marker) for r in locked() if r.name in always and r.marker} == {}


def test_the_lock_has_what_is_declared() -> None:
    versions = {requirement.name: next(iter(requirement.specifier)).version for requirement in locked()}
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][name] for name in ("cuda", "cuda13", "dev"))]
    lists += [PROJECT["optional-dependencies"][name] for name in ("prepare", "slurm", "stream")]
    for requirement in (Requirement(text) for texts in lists for text in texts):
        if requirement.name != PROJECT["name"]:
            found = versions.get(canonicalize_name(requirement.name), "0")
            assert requirement.specifier.contains(found), f"{requirement}: {found} is locked; make lock"


def test_the_lock_says_how_it_is_made_and_names_no_index() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlock:\n")[1].split("\n\n")[0]
    command = " ".join(recipe.replace("\\\n", " ").replace("--quiet", " ").split())
    assert LOCK.splitlines()[1].strip("# ") == command
    assert "://" not in LOCK
    assert "index" not in LOCK.replace("--no-emit-index-url", "")


@pytest.mark.parametrize(
    ("version", "compiler", "message"),
    [
        ((3, 10), True, "Python 3.11 or newer is needed, but ./python is 3.10"),
        ((3, 14), False, "Python 3.14 and newer need a C compiler"),
        ((3, 14), True, None),
        ((3, 13), False, None),
    ],
)
def test_a_python_that_will_not_do_is_refused_in_one_line(
    tmp_path: Path, version: tuple[int, int], compiler: bool, message: str | None
) -> None:
    """Before anything is made or downloaded. Where it will do, this one goes on to the environment that it is asked for."""
    make = shutil.which("make")
    assert make
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    if compiler:
        (tmp_path / "bin" / "cc").touch(0o755)
    asked = (
        f"import sys; sys.version_info = {version}; sys.argv[1] == '-m' and sys.exit('asked for'); exec(sys.argv[2])"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{asked}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        [make, "SHELL=/bin/sh", "PYTHON=./python", ".venv/figures.stamp"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    line = done.stderr.splitlines()[0]
    assert line.startswith(message or "asked for")
    assert not (tmp_path / ".venv").exists()
