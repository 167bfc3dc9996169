"""config/README.md explains every key, and its examples are studies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nmepkg.registry import (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATASETS,
    LOSSES,
    MEASUREMENTS,
    METHODS,
    MODELS,
    SECOND_DERIVATIVES,
)
from nmepkg.study import schema
from nmepkg.study.expand import expand
from nmepkg.study.load import load
from tests.study.samples import STUDY

TEXT = (Path(__file__).resolve().parents[2] / "config/README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
REGISTRIES = (ACTIVATIONS, AUGMENTATIONS, DATASETS, LOSSES, MEASUREMENTS, METHODS, MODELS, SECOND_DERIVATIVES)
PARTS = (schema.STUDY, {"properties": schema.MEASUREMENT}, *schema.FIGURE.values())


def keys(part: Any, inside: str = "") -> Iterator[str]:
    """Keys of a study as the README writes them: those of ``optimizer`` as ``optimizer.momentum``."""
    for key, fragment in part.get("properties", {}).items():
        if "properties" not in fragment:
            yield f"{inside}{key}"
        yield from keys(fragment, f"{key}.")
    if isinstance(part.get("additionalProperties"), Mapping):
        yield from keys(part["additionalProperties"])


@pytest.mark.parametrize("key", sorted({key for part in PARTS for key in keys(part)}))
def test_every_key_has_a_row(key: str) -> None:
    assert re.search(rf"^\| (`\w+`, )*`{re.escape(key)}`", TEXT, flags=re.MULTILINE), key


@pytest.mark.parametrize(
    "name",
    sorted({name for registry in REGISTRIES for name, entry in registry.items() for name in (name, *entry.options)}),
)
def test_every_name_and_option_is_there(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT), name


@pytest.mark.parametrize("quantity", [q for entry in MEASUREMENTS.values() for q in entry.quantities])
def test_every_quantity_is_there(quantity: str) -> None:
    if quantity[-2:] in ("_G", "_N") and not quantity.startswith("tr_"):
        quantity = f"{quantity[:-1]}H" if f"{quantity[:-1]}H`" in TEXT else quantity  # "the same of G and N"
    assert f"`{quantity}`" in TEXT


def test_there_are_five_examples() -> None:
    assert len(EXAMPLES) == 5  # each has its test below


@pytest.mark.parametrize(
    "example", [text for text in EXAMPLES if "activations:" in text and "experiments:" not in text]
)
def test_entries(example: str, tmp_path: Path) -> None:
    text = STUDY.replace("batch_size: 16", "batch_size: 64")
    for line in (r"activations: .*", r"methods: .*"):
        if re.search(rf"^{line.split(':')[0]}:", example, flags=re.MULTILINE):
            text = re.sub(rf"^    {line}\n", "", text, flags=re.MULTILINE)
    indented = "".join(f"    {line}\n" for line in example.splitlines())
    study = write(tmp_path, text.replace("    seeds:", f"{indented}    seeds:"))
    assert len(expand(load(study)).runs) > 1


def test_a_measurement(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("measurements:"))
    setups = STUDY[: STUDY.index("experiments:")]
    study = load(write(tmp_path, setups + example))
    expansion = expand(study)
    assert len(expansion.measurements) == len(expansion.runs) == 2 * 2 * 3
    assert expansion.measurements_of(study.figures["aligned"]) == tuple(expansion.measurements)


def test_an_experiment(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("experiments:"))
    setups = STUDY[: STUDY.index("experiments:")].replace("batch_size: 16", "batch_size: 128")
    expansion = expand(load(write(tmp_path, setups + example)))
    assert len(expansion.cells) == 2 * 3 * 3
    assert len(expansion.runs) == 2 * 2 * 3 + 3


def test_a_learning_rate(tmp_path: Path) -> None:
    (example,) = (text for text in EXAMPLES if text.startswith("setups:"))
    rest = (
        STUDY[STUDY.index("experiments:") :]
        .replace("[mlp]", "[mlp, mlp_slow]")
        .replace("x: rho,", "x: rho, rows: setup,")
    )
    setups = load(write(tmp_path, f"version: 1\nname: tiny\n{example}{rest}")).setups
    slow, fast = setups["mlp_slow"], setups["mlp"]
    assert slow.title == "MLP, learning rate 0.03"
    assert slow.spec["optimizer"] == {**fast.spec["optimizer"], "learning_rate": 0.03}
    assert {**slow.spec, "optimizer": None} == {**fast.spec, "optimizer": None}


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path
