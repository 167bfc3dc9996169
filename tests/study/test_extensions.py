"""Modules that add to what a study may name: what they may not do, said in one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from nmepkg import extensions, registry
from nmepkg.entries import Entry
from nmepkg.errors import UserError
from nmepkg.runs.identity import code_hash
from nmepkg.study.editors import json_schema
from nmepkg.study.load import load
from tests.study.samples import STUDY, edited

ROOT = Path(__file__).resolve().parents[2]
HEAD = "from nmepkg.entries import *\nfrom nmepkg.fragments import positive\n"
BENT = 'ACTIVATIONS = {"bent": Entry("theirs.code:bent", {"slope": positive("of it", default=1.0)}, label="Bent")}\n'


pytestmark = pytest.mark.usefixtures("no_extension_stays")


def write(folder: Path, files: dict[str, str]) -> Path:
    """A package ``theirs`` beside a study that names it."""
    for name, text in {"theirs/__init__.py": "", "theirs/code.py": "def bent(x, slope): return x\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    study = folder / "study.yaml"
    text = edited(("activations: [gelu, relu]", "activations: [gelu, {name: bent, slope: [1, 2]}]"))
    study.write_text("extensions: [theirs.nme]\n" + text, encoding="utf-8")
    return study


def test_a_study_may_name_what_its_extension_has(tmp_path: Path) -> None:
    study = load(write(tmp_path, {"theirs/nme.py": HEAD + BENT}))
    assert study.extensions == ("theirs.nme",)
    (experiment,) = study.experiments.values()
    assert [a.get("slope") for a in experiment.activations] == [None, 1.0, 2.0]
    names = json_schema()["$defs"]["activation"]["anyOf"][0]["enum"]
    assert "bent" in names, "an editor completes it"


def test_without_it_the_name_is_unknown(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_text(path.read_text(encoding="utf-8").replace("extensions: [theirs.nme]\n", ""), encoding="utf-8")
    with pytest.raises(UserError, match="unknown activation 'bent'"):
        load(path)


REFUSED = {
    "not there": ("", "extensions[0]: 'theirs.nme' cannot be imported: ModuleNotFoundError"),
    "nothing": ("VALUE = 1\n", "'theirs.nme' defines nothing; it may have ACTIVATIONS"),
    "misspelt": (
        HEAD + 'ACTIVATION = {"bent": Entry("theirs.code:bent")}\n',
        "theirs.nme.ACTIVATION: unknown kind; choose from ACTIVATIONS",
    ),
    "no mapping": ("ACTIVATIONS = 3\n", "theirs.nme.ACTIVATIONS: is not a mapping of names to entries"),
    "not an entry": ('ACTIVATIONS = {"bent": abs}\n', "theirs.nme.ACTIVATIONS['bent']: is no Entry of nmepkg.entries"),
    "another kind": (
        HEAD + 'METHODS = {"bent": Entry("theirs.code:bent")}\n',
        "theirs.nme.METHODS['bent']: is no Method",
    ),
    "taken": (HEAD + 'ACTIVATIONS = {"relu": Entry("theirs.code:bent")}\n', "nmepkg has one of that name; rename it"),
    "no name": (HEAD + 'ACTIVATIONS = {"a b": Entry("theirs.code:bent")}\n', "['a b']: is not a name"),
    "others' code": (
        HEAD + 'ACTIVATIONS = {"bent": Entry("numpy:abs")}\n',
        "'numpy:abs' is not 'module:attribute' of a",
    ),
    "no attribute": (
        HEAD + 'ACTIVATIONS = {"bent": Entry("theirs.code")}\n',
        "'theirs.code' is not 'module:attribute'",
    ),
    "no schema": (
        HEAD + 'ACTIVATIONS = {"bent": Entry("theirs.code:bent", {"slope": {"type": "nummer"}})}\n',
        "['bent'].options['slope']: is no JSON Schema",
    ),
    "unexplained": (
        HEAD + 'ACTIVATIONS = {"bent": Entry("theirs.code:bent", {"slope": {"type": "number"}})}\n',
        "['bent'].options['slope']: has no 'description'",
    ),
    "reserved": (
        HEAD + 'ACTIVATIONS = {"bent": Entry("theirs.code:bent", {"rho": positive("of it")})}\n',
        "['bent'].options['rho']: means something else in a study",
    ),
    "no strength": (
        HEAD + 'METHODS = {"bent": Method("theirs.code:bent", strength="tau")}\n',
        "METHODS['bent'].strength: unknown strength 'tau'; add it to theirs.nme.STRENGTHS",
    ),
    "fails": ("1 / 0\n", "'theirs.nme' cannot be imported: ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, {"theirs/nme.py": text} if text else {})
    with pytest.raises(UserError) as refused:
        load(path)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{path}: extensions[0]: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("[3]", "extensions[0]: 3 is not text"),
        ("mine", "extensions: 'mine' is not a list"),
        ("[../mine]", "extensions[0]: no module '../mine' in"),
        ("[nmepkg.registry]", "extensions[0]: 'nmepkg.registry' is this package's own"),
        ("[absent]", "extensions[0]: no module 'absent' in "),
        ("[math]", "extensions[0]: 'math' is no package of Python files"),
    ],
)
def test_names_that_are_no_modules_are_refused(tmp_path: Path, names: str, said: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"extensions: {names}\n{STUDY}", encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: {said}")


def test_a_module_alone_is_an_extension_too(tmp_path: Path) -> None:
    (tmp_path / "single.py").write_text(HEAD + BENT.replace("theirs.code", "codes"), encoding="utf-8")
    with pytest.raises(UserError, match="'codes:bent' is not 'module:attribute' of a package"):
        extensions.load(["single"], tmp_path)
    (tmp_path / "single.py").write_text("def bent(x): return x\n" + HEAD + BENT.replace("theirs.code", "single"))
    del sys.modules["single"]
    extensions.load(["single"], tmp_path)
    assert isinstance(registry.ACTIVATIONS["bent"], Entry)
    assert len(code_hash(["single:bent"])) == 16


def test_it_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, {"theirs/nme.py": HEAD + BENT})
    load(path)
    load(path)
    assert extensions.registering == {"theirs", "theirs.nme"}


def test_the_page_about_it_shows_the_template_and_names_every_kind() -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- mylab/nme.py -->\n```python\n(.*?)```", text, flags=re.DOTALL)
    assert shown == (ROOT / "nmepkg" / "template" / "mylab" / "nme.py").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \|", text, flags=re.MULTILINE))
    assert rows == {section: kind.__name__ for section, kind in extensions.SECTIONS.items()}
