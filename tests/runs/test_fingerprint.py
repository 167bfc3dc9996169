from __future__ import annotations

import ast
from pathlib import Path

import pytest

from nmepkg.registry import METHODS
from nmepkg.runs import fingerprint as module
from nmepkg.runs.fingerprint import closure, fingerprint

FILES = {
    "__init__.py": '"""A package."""\n',
    "errors.py": "class UserError(Exception): pass\n",
    "registry.py": "ENTRIES = {}\n",
    "base.py": "import math\n\n\ndef scale(x):\n    return 2 * x\n",
    "alone.py": "VALUE = 1\n",
    "deep/__init__.py": "",
    "deep/one.py": (
        '"""One."""\nfrom package.base import scale\nfrom . import two\nfrom package.errors import UserError\n'
        "from package.registry import ENTRIES\n\n\ndef f(x):\n"
        '    """Doc."""\n    return scale(x) + two.three.VALUE  # sum\n'
    ),
    "deep/two.py": "from .nested import three\n",
    "deep/nested/__init__.py": "",
    "deep/nested/three.py": "from ...base import scale\n\nVALUE = 3\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def fresh(package: Path, *modules: str) -> str:
    """The fingerprint as a new process would compute it."""
    for cached in (module._fingerprint, module._module, module._path, module._remembered):
        cached.cache_clear()
    return fingerprint(modules or ["package.deep.one"], (("package", package),))


def canonical(tree: ast.AST) -> str:
    parts: list[str] = []
    module._write_canonical(tree, parts.append)
    return "".join(parts)


def replace(package: Path, name: str, old: str, new: str) -> None:
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new))


def test_the_closure_follows_absolute_and_relative_imports_and_parents(package: Path) -> None:
    assert closure(["package.deep.one"], (("package", package),)) == {
        "package",
        "package.base",
        "package.deep",
        "package.deep.one",
        "package.deep.two",
        "package.deep.nested",
        "package.deep.nested.three",
    }


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("deep/one.py", "  # sum", ""),
        ("deep/one.py", '"""Doc."""', '"""Other."""'),
        ("deep/one.py", '    """Doc."""\n', ""),
        ("deep/one.py", '"""One."""\n', "# One\n"),
        ("deep/one.py", "scale(x) + two.three.VALUE", "(\n        scale(x)\n        + two.three.VALUE\n    )"),
        ("base.py", "2 * x", "(2  *  x)"),
        ("alone.py", "1", "2"),
        ("registry.py", "{}", "{1: 2}"),
        ("errors.py", "pass", "code = 2"),
    ],
)
def test_comments_docstrings_layout_and_unused_modules_change_nothing(
    package: Path, name: str, old: str, new: str
) -> None:
    before = fresh(package)
    replace(package, name, old, new)
    assert fresh(package) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("deep/one.py", "+", "-"),
        ("deep/nested/three.py", "3", "4"),
        ("deep/nested/three.py", "VALUE = 3", "VALUE = 3.0"),
        ("base.py", "2 * x", "x * 2"),
        ("deep/__init__.py", "", "import math\n"),
        ("__init__.py", '"""A package."""\n', "X = 1\n"),
    ],
)
def test_code_that_a_module_imports_changes_it(package: Path, name: str, old: str, new: str) -> None:
    before = fresh(package)
    replace(package, name, old, new)
    assert fresh(package) != before
    replace(package, name, new, old) if old else (package / name).write_text(FILES[name])
    assert fresh(package) == before


def test_a_string_that_is_no_docstring_counts(package: Path) -> None:
    before = fresh(package)
    replace(package, "base.py", "return 2 * x", 'return 2 * x\n\n\nNAME = "a"')
    assert fresh(package) != before


def test_empty_texts_in_a_format_are_nothing() -> None:
    """Python 3.12.1 keeps one at the end of a nested format; 3.11 and 3.13 do not."""
    bare, kept = ast.parse('f"{a:{b}}"'), ast.parse('f"{a:{b}}"')
    for tree, empty in ((bare, []), (kept, [ast.Constant("")])):
        form = next(node for node in ast.walk(tree) if isinstance(node, ast.FormattedValue)).format_spec
        assert isinstance(form, ast.JoinedStr)
        form.values = [next(value for value in form.values if isinstance(value, ast.FormattedValue)), *empty]
    assert canonical(bare) == canonical(kept)
    assert canonical(ast.parse('f"{a:{b}}"')) != canonical(ast.parse('f"{a:{b}c}"'))


def test_roots_outside_the_package_are_refused(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"package\.absent"):
        fresh(package, "package.absent")
    with pytest.raises(ModuleNotFoundError, match="math"):
        fresh(package, "math")


def test_a_method_is_not_part_of_the_code_of_another() -> None:
    sam, sgd = closure([METHODS["sam"].module]), closure([METHODS["sgd"].module])
    assert METHODS["sam"].module not in sgd
    assert METHODS["sgd"].module not in sam


def test_training_pulls_in_neither_models_methods_study_nor_analysis() -> None:
    shared = {"nmepkg.methods", "nmepkg.methods.base", "nmepkg.methods.parts"}  # by every method
    floors = {name.split(".")[1] for name in closure(["nmepkg.training.loop"]) - shared if "." in name}
    assert "training" in floors
    assert floors.isdisjoint({"models", "methods", "study", "analysis", "registry"})
