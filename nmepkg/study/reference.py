"""What is generated from the keys of a study: the tables of config/README.md, and the JSON Schema for editors, in its file.

``python -m nmepkg.study.reference`` renews both, in the project's folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from nmepkg.entries import COUNTED, Schema
from nmepkg.files import written_whole
from nmepkg.study.claim_keys import arm, claim
from nmepkg.study.editors import json_schema, yaml_of
from nmepkg.study.schema import ENTRIES, FIGURE, MEASUREMENT, OPTIMIZER, study

README, SCHEMA = Path("config/README.md"), Path("config/study.schema.json")
_HEAD = "| key | type | meaning | default | example |\n|---|---|---|---|---|\n"
_OPTIONS = "| option | of | type | meaning | default |\n|---|---|---|---|---|\n"


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
            example = f"`{yaml_of(schema['examples'][0])}`" if "examples" in schema else ""
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
        return f"`{yaml_of(schema['default'])}`{assumed}" if schema["default"] not in ("", [], {}) else f"none{assumed}"
    return f"{'required' if required else 'none'}{assumed}"


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
