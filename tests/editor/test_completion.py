"""What an editor shows of a study, by the language server that most of them have for YAML."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editor.server import Server

pytestmark = pytest.mark.editor

ROOT = Path(__file__).resolve().parents[2]
HEAD = "# yaml-language-server: $schema=study.schema.json\n"


def server(folder: Path) -> Server:
    command = shutil.which("yaml-language-server")
    if command is None:
        pytest.fail("yaml-language-server is not on the PATH; make test-editor installs it")
    return Server(command, folder)


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    editor = server(ROOT / "config")
    yield editor
    editor.close()


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """In the folder of a lab, with the schema of what its extension adds."""
    folder = tmp_path_factory.mktemp("lab")
    for package in (ROOT / "nmepkg" / "template" / "mylab", ROOT / "tests" / "lab" / "mylab"):
        shutil.copytree(package, folder / "mylab", dirs_exist_ok=True)
    for name in ("study.yaml", "table.csv"):
        shutil.copy(ROOT / "tests" / "lab" / name, folder)
    command = [sys.executable, "-m", "nmepkg", "schema", "--study", "study.yaml"]
    with (folder / "study.schema.json").open("wb") as file:
        subprocess.run(command, cwd=folder, stdout=file, check=True)
    editor = server(folder)
    yield editor
    editor.close()


def in_setup(lines: str) -> str:
    return f"{HEAD}setups:\n  mlp:\n    {lines}"


def in_experiment(lines: str) -> str:
    return f"{HEAD}experiments:\n  main:\n    {lines}"


@pytest.mark.parametrize(
    ("text", "offered", "not_offered"),
    [
        (f"{HEAD}version: 1\n¦", {"setups", "claims", "extensions"}, {"epochs", "version"}),
        (in_setup("¦"), {"data", "model", "training"}, {"setups"}),
        (in_setup("training:\n      ¦"), {"epochs", "batch_size", "evaluate_last"}, {"optimizer"}),
        (in_setup("training: {epochs: 3, b¦}"), {"batch_size"}, {"epochs"}),
        (in_setup("training:\n      precision: ¦"), {"float32", "bfloat16"}, set()),
        (in_setup("model: ¦"), {"resnet", "mlp …"}, {"width", "[object Object]"}),
        (in_setup("model: {name: ¦}"), {"mlp", "vit"}, {"adamw"}),
        (in_setup("model:\n      name: resnet1d\n      ¦"), {"blocks", "kernel_size"}, {"heads", "name"}),
        (in_setup("optimizer:\n      ¦"), {"name", "learning_rate", "momentum"}, {"b1"}),
        (in_setup("optimizer:\n      name: adamw\n      ¦"), {"learning_rate", "b1"}, {"momentum"}),
        (in_experiment("methods:\n      - ¦"), {"sam", "psam", "name"}, {"relu", "probe"}),
        (in_experiment("methods: [sam, {name: weight_noise, a¦}]"), {"antithetic"}, {"probe"}),
        (in_experiment("activations:\n      - name: beta_gelu\n        ¦"), {"beta", "second_derivative"}, {"probe"}),
        (f"{HEAD}measurements:\n  one:\n    kind: ¦", {"traces", "spectrum"}, {"curve"}),
        (f"{HEAD}measurements:\n  one:\n    kind: spectrum\n    ¦", {"at", "steps", "top"}, {"radii"}),
        (f"{HEAD}figures:\n  one:\n    ¦", {"kind", "experiments", "x"}, {"landscape"}),
        (f"{HEAD}figures:\n  one:\n    kind: landscape\n    ¦", {"landscape", "title"}, {"x"}),
        (f"{HEAD}claims:\n  one:\n    a:\n      method: ¦", {"sam", "psam"}, {"relu"}),
    ],
)
def test_keys_and_names_are_completed(ours: Server, text: str, offered: set[str], not_offered: set[str]) -> None:
    found = set(ours.completions(text))
    assert offered <= found
    assert not not_offered & found


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        (in_experiment("¦"), {"tau", "rho"}),
        (in_experiment("methods:\n      - ¦"), {"tilted", "sam"}),
        (in_experiment("activations:\n      - name: mish\n        ¦"), {"sharpness"}),
        (in_setup("model: {name: ¦}"), {"two_halves", "mlp"}),
        (in_setup("optimizer:\n      name: damped\n      ¦"), {"damping", "learning_rate"}),
        (f"{HEAD}measurements:\n  one:\n    kind: ¦", {"weights", "traces"}),
        (f"{HEAD}figures:\n  one:\n    kind: stairs\n    ¦", {"fill", "x"}),
        (f"{HEAD}claims:\n  one:\n    a:\n      ¦", {"tau"}),
    ],
)
def test_those_of_an_extension_too(labs: Server, ours: Server, text: str, offered: set[str]) -> None:
    assert offered <= set(labs.completions(text))
    assert not offered <= set(ours.completions(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (in_setup("model: {name: mlp, widht: 3, depth: 1}"), "Property widht is not allowed."),
        (in_setup("model: {name: mpl}"), 'Value is not accepted. Valid values: "mlp", "resnet1d"'),
        (in_setup("optimizer: {learning_rate: 0.1, b1: 0.9}"), "Property b1 is not allowed."),
        (in_experiment("methods: [samm]"), 'Value is not accepted. Valid values: "sgd", "sam"'),
        (f"{HEAD}measurements: {{one: {{kind: spectrum, at: [finall]}}}}", 'Valid values: "initial", "final"'),
        (f"{HEAD}figures: {{one: {{kind: landscape, x: rho}}}}", "Property x is not allowed."),
        (f"{HEAD}name: one study", "is not a name; use letters, digits, '_' and '-', starting with a letter or digit"),
    ],
)
def test_what_is_wrong_is_said_of_what_is_written(ours: Server, text: str, said: str) -> None:
    assert any(said in problem for problem in ours.problems(text))


def test_nothing_is_wrong_with_the_studies(ours: Server, labs: Server) -> None:
    for path in (ROOT / "config").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("$schema=../", "$schema=")
        # An anchor that nothing names is a hint of the server's, and nothing that a schema knows of.
        assert [found for found in ours.problems(text) if "Unused anchor" not in found] == [], path
    complete = (ROOT / "tests" / "study" / "complete.yaml").read_text(encoding="utf-8")
    assert ours.problems(complete.replace("$schema=../../config/", "$schema=")) == []
    assert labs.problems((labs.folder / "study.yaml").read_text(encoding="utf-8")) == []


def test_a_key_is_explained(ours: Server, labs: Server) -> None:
    said = ours.hover(in_setup("training: {evaluate_¦every: 3}"))
    assert "epochs between two evaluations" in said
    assert "Default: `10`" in said
    assert "temperature" in labs.hover(in_experiment("t¦au: [1]")).lower()
