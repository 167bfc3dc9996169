"""A study's JSON Schema, by which editors complete it and say what a key means; ``nmepkg schema`` prints it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nmepkg.registry import FIGURES
from nmepkg.study.schema import ENTRIES, LABEL, entry_schema, figure, study

# Kinds whose entries may have a list as the value of an option, which is a grid, and those that may have a label.
_GRIDS = ("method", "activation", "second_derivative")
_LABELLED = ("method", "activation")
_LABEL = {"description": "its name in figures", "type": "string", "maxLength": LABEL}

_LINK = re.compile(
    r" \((?:\[below\]\([^)]*\)|below)\)|\[([^]]*)\]\([^)]*\)"
)  # of config/README.md, whose places it has not


def json_schema() -> dict[str, Any]:
    """A study's JSON Schema (draft 2020-12), with the options of all that a study may name.

    It has what language servers ask for besides the standard: a ``title`` wherever a mapping begins, ``markdownDescription``
    with the default, ``patternErrorMessage``, ``defaultSnippets``. A mapping whose keys depend on one of them is told by
    ``if`` and ``then``, not by ``anyOf``: what is wrong is then said of the keys that it has, and not of all that it might
    have been. What the loader refuses beyond it, and in words of its own, is what a schema cannot say.
    """
    whole = json.loads(json.dumps(study()))
    parts = whole["properties"]
    for folder in ("store", "output"):
        del parts[folder]["pattern"]  # of what `~` and variables stand for
    inner = {name: parts[name]["additionalProperties"] for name in ("setups", "experiments", "landscapes", "claims")}
    for name, part in inner.items():
        part["title"] = name.removesuffix("s")
    for kind in ("data", "augmentation", "model", "loss", "optimizer"):
        _refer(inner["setups"]["properties"][kind], kind)
    experiment, landscape, claim = (inner[name]["properties"] for name in ("experiments", "landscapes", "claims"))
    for kind in ("method", "activation"):
        _refer(experiment[f"{kind}s"]["items"], kind)
        for arm in (claim[name]["properties"] for name in ("both", "a", "b")):
            _refer(arm[kind], kind)
            _refer(arm["minus"]["properties"][kind], kind)
    _refer(landscape["model"], "model")
    _refer(landscape["activations"]["items"], "activation")
    parts["measurements"]["additionalProperties"] = _told_apart("measurement", "kind", _entries("measurement", "kind"))
    figures = {kind: json.loads(json.dumps(figure(kind))) for kind in FIGURES}
    parts["figures"]["additionalProperties"] = _told_apart("figure", "kind", figures, usual="curve")
    definitions = {kind: _entry(kind) for kind in ENTRIES if kind != "measurement"}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "study"}
    made: dict[str, Any] = _for_editors({**head, **whole, "$defs": definitions})
    return made


def _refer(part: dict[str, Any], kind: str) -> None:
    """Has a key be an entry of a kind."""
    for keyword in ("type", "title"):
        part.pop(keyword, None)
    part["$ref"] = f"#/$defs/{kind}"


def _told_apart(
    title: str, key: str, schemas: Mapping[str, dict[str, Any]], usual: str | None = None
) -> dict[str, Any]:
    """A mapping whose other keys depend on what is under one, which may be left out where it is the usual one."""
    meanings = [schema["properties"][key] for schema in schemas.values() if "description" in schema["properties"][key]]
    names = {"description": f"which {title.replace('_', ' ')} it is", **(meanings[0] if meanings else {})}
    for name, schema in schemas.items():
        schema["properties"][key] = {"const": name}
    return {
        "title": title,
        "type": "object",
        "properties": {key: {**names, "enum": list(schemas)}},
        "required": [] if usual else [key],
        "allOf": [
            {
                "if": {
                    "type": "object",
                    "properties": {key: {"const": name}},
                    "required": [] if name == usual else [key],
                },
                "then": {**schema, "title": f"{title} {name}"},
            }
            for name, schema in schemas.items()
        ],
    }


def _entries(kind: str, key: str) -> dict[str, dict[str, Any]]:
    return {name: json.loads(json.dumps(entry_schema(kind, name, key))) for name in ENTRIES[kind]}


def _entry(kind: str) -> dict[str, Any]:
    """A name, or a mapping of a name and options; an optimiser's may go without a name, and is SGD's then."""
    schemas = _entries(kind, "name")
    plain = [name for name, schema in schemas.items() if schema["required"] == ["name"]]
    if kind == "optimizer":
        schemas["sgd"]["required"].remove("name")
        return _told_apart(kind, "name", schemas, usual="sgd")
    for schema in schemas.values():
        _vary(kind, schema["properties"])
    bare = {"title": kind.replace("_", " "), "type": "string", "enum": plain, "defaultSnippets": [*_snippets(schemas)]}
    return {"anyOf": [bare, _told_apart(kind, "name", schemas)]}


def _snippets(schemas: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What an editor writes for names that go with options which have no default."""
    for name, schema in schemas.items():
        options = schema["required"][1:]
        if options:
            body = {"name": name, **{option: f"${i}" for i, option in enumerate(options, 1)}}
            yield {"label": f"{name} …", "body": body}


def _vary(kind: str, options: dict[str, Any]) -> None:
    """What a list of entries may say of their options besides a value: a grid of values, and a label."""
    if kind == "activation":
        options["second_derivative"] |= {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/second_derivative"}]}
    if kind in _GRIDS:
        for option in options.keys() - {"name"}:
            one = options[option]
            grid = {"type": "array", "minItems": 1, "uniqueItems": True, "items": one}
            options[option] = {"description": one["description"], "anyOf": [*one.get("anyOf", [one]), grid]}
    if kind in _LABELLED:
        options["label"] = _LABEL


def _for_editors(part: Any) -> Any:
    """A schema with texts that an editor can show, and patterns that mean in JavaScript what they mean in Python."""
    if isinstance(part, list):
        return [_for_editors(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {key: _for_editors(value) for key, value in part.items()}
    if isinstance(pattern := made.get("pattern"), str):
        # There \Z is the letter, and \w is of ASCII alone.
        made["pattern"] = pattern.replace(r"\Z", "$").replace(r"\w", r"[\w\u0080-\uffff]")
    if meaning := made.get("description"):
        made["description"] = _LINK.sub(r"\1", meaning)
        made["markdownDescription"] = made["description"] + _default(made)
        if not all(isinstance(value, str | int | float) for value in made.get("examples", ())):
            made["markdownDescription"] += f"\n\nExample: `{yaml_of(made.pop('examples')[0])}`"
    return made


def _default(schema: Mapping[str, Any]) -> str:
    if schema.get("default") in ("", [], {}) or "default" not in schema:
        return ""
    return f"\n\nDefault: `{yaml_of(schema['default'])}`"


def yaml_of(value: Any) -> str:
    """A value as a study writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {yaml_of(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(yaml_of, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
