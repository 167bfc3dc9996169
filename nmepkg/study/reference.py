"""What is generated from the keys of a study: the tables of config/README.md, and a JSON Schema for editors.

``python -m nmepkg.study.reference`` renews both, in the project's folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nmepkg.entries import COUNTED, Schema
from nmepkg.files import written_whole
from nmepkg.registry import FIGURES
from nmepkg.study.claim_keys import arm, claim
from nmepkg.study.schema import ENTRIES, FIGURE, LABEL, MEASUREMENT, OPTIMIZER, entry_schema, figure, study

README, SCHEMA = Path("config/README.md"), Path("config/study.schema.json")
_HEAD = "| key | type | meaning | default | example |\n|---|---|---|---|---|\n"
_OPTIONS = "| option | of | type | meaning | default |\n|---|---|---|---|---|\n"

# Kinds whose entries may have a list as the value of an option, which is a grid, and those that may have a label.
_GRIDS = ("method", "activation", "second_derivative")
_LABELLED = ("method", "activation")
_LABEL = {"description": "its name in figures", "type": "string", "maxLength": LABEL}


def json_schema() -> dict[str, Any]:
    """A study's JSON Schema (draft 2020-12), with the options of all that a study may name.

    It is for editors: whoever writes a key is told what it means, and what there is to choose from. What the loader refuses
    beyond it, and in words of its own, is what a schema cannot say.
    """
    whole = json.loads(json.dumps(study()))
    parts = whole["properties"]
    setup = parts["setups"]["additionalProperties"]["properties"]
    for kind in ("data", "augmentation", "model", "loss", "optimizer"):
        setup[kind] = _reference(kind, setup[kind])
    experiment = parts["experiments"]["additionalProperties"]["properties"]
    experiment["methods"]["items"], experiment["activations"]["items"] = _reference("method"), _reference("activation")
    landscape = parts["landscapes"]["additionalProperties"]["properties"]
    landscape["model"] = _reference("model", landscape["model"])
    landscape["activations"]["items"] = _reference("activation")
    measurements = [entry_schema("measurement", name, "kind") for name in ENTRIES["measurement"]]
    parts["measurements"]["additionalProperties"] = {"anyOf": measurements}
    parts["figures"]["additionalProperties"] = {"anyOf": [figure(kind) for kind in FIGURES]}
    definitions = {kind: _entry(kind) for kind in ENTRIES if kind != "measurement"}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study of nmepkg"}
    return {**head, **whole, "$defs": definitions}


def _reference(kind: str, besides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {**(besides or {}), "$ref": f"#/$defs/{kind}"}


def _entry(kind: str) -> dict[str, Any]:
    """A name, or a mapping of a name and options; an optimiser's may go without a name, and is SGD's then."""
    schemas = {name: _named(kind, name) for name in ENTRIES[kind]}
    if kind == "optimizer":
        schemas["sgd"]["required"].remove("name")
        return {"type": "object", "anyOf": list(schemas.values())}
    plain = [name for name, schema in schemas.items() if schema["required"] == ["name"]]
    return {"type": ["string", "object"], "anyOf": [{"enum": plain}, *schemas.values()]}


def _named(kind: str, name: str) -> dict[str, Any]:
    schema = json.loads(json.dumps(entry_schema(kind, name, "name")))
    options = schema["properties"]
    if kind == "activation":
        options["second_derivative"] |= {"anyOf": [{"type": "null"}, _reference("second_derivative")]}
    if kind in _GRIDS:
        for option, one in options.items():
            if option != "name":
                grid = {"type": "array", "minItems": 1, "uniqueItems": True, "items": one}
                options[option] = {"description": one["description"], "anyOf": [one, grid]}
    if kind in _LABELLED:
        options["label"] = _LABEL
    return schema


def tables() -> dict[str, str]:
    """The tables of config/README.md, by what they are of."""
    whole = study()
    parts = whole["properties"]
    of = {
        "top": whole,
        **{name: parts[name]["additionalProperties"] for name in ("setups", "experiments", "landscapes")},
        "optimizer": {"properties": OPTIMIZER, "required": ["learning_rate"]},
        "measurements": {"properties": MEASUREMENT, "required": []},
        "figures": {
            "properties": {**FIGURE["landscape"]["properties"], **FIGURE["curve"]["properties"]},
            "required": FIGURE["curve"]["required"],
        },
        "claims": claim(),
        "arms": arm(),
    }
    return {name: _HEAD + "".join(_rows(part)) for name, part in of.items()} | {
        f"options of {kind}": _OPTIONS + "".join(_option_rows(kind)) for kind in ENTRIES
    }


def _rows(part: Schema, inside: str = "") -> Iterator[str]:
    for key, schema in part["properties"].items():
        if "properties" in schema and "title" not in schema:
            yield from _rows(schema, f"{inside}{key}.")
        else:
            default = _default(schema, required=key in part["required"])
            example = f"`{_yaml(schema['examples'][0])}`" if "examples" in schema else ""
            meaning = _cell(schema["description"])
            yield f"| `{inside}{key}` | {kind_of(schema)} | {meaning} | {default} | {example} |\n"


def _option_rows(kind: str) -> Iterator[str]:
    """A row an option; entries with the same option share one."""
    rows: dict[str, tuple[str, Schema, list[str]]] = {}
    for name, entry in ENTRIES[kind].items():
        for option, schema in entry.options.items():
            rows.setdefault(json.dumps([option, schema]), (option, schema, []))[2].append(name)
    for option, schema, names in rows.values():
        default = _default(schema, required="default" not in schema)
        of = ", ".join(f"`{name}`" for name in names)
        yield f"| `{option}` | {of} | {kind_of(schema)} | {_cell(schema['description'])} | {default} |\n"


def kind_of(schema: Schema) -> str:
    """What values a fragment takes, in words: ``whole number from 0, or null``."""
    if "title" in schema:
        return str(schema["title"])
    if "enum" in schema:
        *others, last = (f"`{value}`" for value in schema["enum"])
        return f"{', '.join(others)} or {last}" if others else last
    if "anyOf" in schema:
        return " or ".join(kind_of(part) for part in schema["anyOf"])
    types = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
    if types == ["string", "object"]:
        return "entry"
    words = {
        "integer": lambda: "whole number" + _range(schema, 1),
        "number": lambda: "number" + _range(schema, None),
        "boolean": lambda: "true or false",
        "null": lambda: "null",
        "string": lambda: "text",
        "object": lambda: "name → mapping",
        "array": lambda: f"list of {_plural(schema['items'])}",
    }
    return ", or ".join(words[name]() for name in types)


def _range(schema: Schema, usual: int | None) -> str:
    """The bounds of a number; nothing where they are ``usual``, or as large as can be counted."""
    least, most = schema.get("minimum"), schema.get("maximum")
    most = None if most in (COUNTED, 2**32 - 1) or ((most or 0) >= 100_000 and least in (None, 0.1)) else most
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']:g}" + (
            f", at most {most:g}" if most is not None and most < 1000 else ""
        )
    if "exclusiveMaximum" in schema:
        return f", {least:g} to below {schema['exclusiveMaximum']:g}"
    if most is not None:
        return f", {least:g} to {most:,}" if least != usual else f", up to {most:,}"
    return "" if least in (usual, None) else f" from {least:g}"


def _plural(items: Schema) -> str:
    words = kind_of(items)
    return {"entry": "entries", "text": "names"}.get(words) or re.sub(r"^(list|whole number|number)\b", r"\1s", words)


def _default(schema: Schema, required: bool) -> str:
    assumed = " (assumed)" if schema.get("assumed") else ""
    if "default" in schema:
        return f"`{_yaml(schema['default'])}`{assumed}" if schema["default"] not in ("", [], {}) else f"none{assumed}"
    return f"{'required' if required else 'none'}{assumed}"


def _yaml(value: Any) -> str:
    """A value as a study writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def renewed(readme: str) -> str:
    """config/README.md with its tables as they should be: each between ``<!-- NAME -->`` and ``<!-- end -->``."""
    for name, table in tables().items():
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, _, rest = readme.partition(start)
        readme = before + start + table + end + rest.partition(end)[2]
    return readme


def main() -> None:
    """Writes both files."""
    schema = json.dumps(json_schema(), indent=1, ensure_ascii=False)
    for path, text in {README: renewed(README.read_text("utf-8")), SCHEMA: f"{schema}\n"}.items():
        with written_whole(path) as file:
            file.write(text.encode())


if __name__ == "__main__":
    main()
