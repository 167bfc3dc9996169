"""What is said of a key is said once: tables, the schema for editors and the code behind options are in step."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nmepkg.entries import Entry
from nmepkg.study import reference, schema
from nmepkg.study.editors import json_schema
from nmepkg.study.load import load
from nmepkg.study.strict_yaml import read
from tests.study.editors import HEAD, findings
from tests.study.samples import edited

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = jsonschema.Draft202012Validator(json_schema())
OPTIONS = [
    (kind, name, option)
    for kind, entries in schema.ENTRIES.items()
    for name in entries
    for option in entries[name].options
]
STUDIES = [*sorted((ROOT / "config").rglob("*.yaml")), ROOT / "tests" / "study" / "complete.yaml"]


def entry(kind: str, name: str) -> Entry:
    return schema.ENTRIES[kind][name]


def fragments(part: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, fragment in part.get("properties", {}).items():
        if "properties" not in fragment:
            yield f"{where}.{key}", fragment
        yield from fragments(fragment, f"{where}.{key}")
    if isinstance(part.get("additionalProperties"), Mapping):
        yield from fragments(part["additionalProperties"], f"{where}.*")


FRAGMENTS = [
    *fragments(schema.study(), "study"),
    *fragments({"properties": schema.MEASUREMENT}, "measurement"),
    *fragments({"properties": schema.OPTIMIZER}, "optimizer"),
    *(pair for kind, figure in schema.FIGURE.items() for pair in fragments(figure, f"figure {kind}")),
    *((f"{kind} {name}.{option}", entry(kind, name).options[option]) for kind, name, option in OPTIONS),
]


def test_what_is_generated_is_renewed() -> None:
    """By make format."""
    for path in (reference.README, reference.SCHEMA):
        text = (ROOT / path).read_text(encoding="utf-8")
        made = reference.renewed(text) if path == reference.README else None
        assert text == (made or json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"), path


@pytest.mark.parametrize(("where", "fragment"), FRAGMENTS, ids=[where for where, _ in FRAGMENTS])
def test_a_key_says_what_it_means_by_values_that_it_takes(where: str, fragment: Mapping[str, Any]) -> None:
    assert fragment["description"]
    for value in (*fragment.get("examples", ()), *([fragment["default"]] if "default" in fragment else ())):
        jsonschema.validate(value, fragment)


@pytest.mark.parametrize(("kind", "name", "option"), OPTIONS)
def test_an_option_is_a_parameter_of_its_code(kind: str, name: str, option: str) -> None:
    """With the same default, where the code has one."""
    code = entry(kind, name).load()
    parameter = inspect.signature(code).parameters[option]
    if parameter.default is not inspect.Parameter.empty:
        default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        assert entry(kind, name).options[option].get("default") == default


def test_the_studies_name_the_schema_and_are_what_it_says(tmp_path: Path) -> None:
    """Merged keys and all, by a YAML and by regular expressions that are not Python's own."""
    for path in STUDIES:
        found = HEAD.match(path.read_text("utf-8"))
        assert found, path
        assert (path.parent / found[1]).resolve() == ROOT / reference.SCHEMA, path
        assert load(path).claims or path.stem == "known_number"
    assert findings(*STUDIES) == ""
    wrong = tmp_path / "wrong.yaml"
    text = f"# yaml-language-server: $schema={ROOT / reference.SCHEMA}\n" + edited(("epochs: 1,", "<<: {epoch: 1},"))
    wrong.write_text(text, encoding="utf-8")
    assert "Additional properties are not allowed ('epoch' was unexpected)" in findings(wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 1,", "epoch: 1,"),
        ("learning_rate: 0.1", "learning_rate: 0.1, name: adamv"),
        ("learning_rate: 0.1", "learning_rate: 0.1, b1: 0.9"),
        ("learning_rate: 0.1", "learning_rate: 0.1, name: adamw, momentum: 0.9"),
        ("learning_rate: 0.1", "name: adamw"),
        ("epochs: 1,", "epochs: 0,"),
        ("name: mlp, width: 4", "name: mlp, widht: 4"),
        ("name: mlp, width: 4, depth: 1", "name: cnn, width: 4, depth: 1"),
        ("[sam, psam]", "[sam, psamm]"),
        ("[sam, psam]", "[sam, gradient_penalty]"),
        ("[sam, psam]", "[{name: sam, samples: 3}]"),
        ("[gelu, relu]", "[beta_gelu]"),
        ("[gelu, relu]", "[{name: relu, second_derivative: gausian}]"),
        ("lines: method", "line: method"),
    ],
)
def test_what_an_editor_marks(tmp_path: Path, old: str, new: str) -> None:
    for text, valid in ((edited(), True), (edited((old, new)), False)):
        (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
        assert VALIDATOR.is_valid(json.loads(json.dumps(read(tmp_path / "study.yaml")))) is valid


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ({"type": ["integer", "null"], "minimum": 1}, "whole number, or null"),
        ({"type": "integer", "minimum": 0}, "whole number from 0"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number, 0 to below 1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number above 0, at most 1"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"type": "array", "items": {"type": ["string", "object"]}}, "list of entries"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "list of lists of numbers"),
    ],
)
def test_types_in_words(fragment: dict[str, Any], words: str) -> None:
    assert reference.kind_of(fragment) == words
