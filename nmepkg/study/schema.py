"""JSON Schema of a study, checks against it in one clear line, and completion with defaults.

Entries that name something of the registry (a model, a method …) are checked against the options of what they name.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from nmepkg.errors import UserError
from nmepkg.registry import ACTIVATIONS, DATASETS, FIGURES, LOSSES, METHODS, MODELS, SECOND_DERIVATIVES, Entry, Schema

VERSION = 1
STRENGTHS = tuple(dict.fromkeys(method.strength for method in METHODS.values() if method.strength))
TARGETS = ("figures", "all", "data", "train", "figure")  # rules of the workflow; a figure's name is a target too
METRICS = [f"{part}_{what}" for part in ("train", "validation", "test") for what in ("accuracy", "loss")]

_COUNT = {"type": "integer", "minimum": 1}
_SEED = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}  # what a jax.random.key takes without 64 bits
_NOT_NEGATIVE = {"type": "number", "minimum": 0}
_ENTRY = {"type": ["string", "object"]}  # a name, or a mapping with `name` and options
_AXIS = {"type": ["string", "null"], "default": None}


def _mapping(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema, **extra: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True, **extra}


_NAME = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z", "maxLength": 100}  # part of file names


def _named(items: Schema, **extra: Any) -> dict[str, Any]:
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": items, **extra}


_SETUP = _mapping(
    {
        "title": {"type": "string"},
        "data": _ENTRY,
        "validation": {
            **_mapping(
                {
                    "fraction": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.1},
                    "seed": {**_SEED, "default": 0},
                }
            ),
            "default": {},
        },
        "model": _ENTRY,
        "loss": {**_ENTRY, "default": "cross_entropy"},
        "optimizer": _mapping(
            {
                "learning_rate": {"type": "number", "exclusiveMinimum": 0},
                "momentum": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9},
                "nesterov": {"type": "boolean", "default": True},
                "weight_decay": {**_NOT_NEGATIVE, "default": 0.0},
                "decayed": {"enum": ["all", "kernels"], "default": "all"},
                "warmup_epochs": {**_NOT_NEGATIVE, "default": 0.0},
                "clip_norm": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": None},
            },
            ["learning_rate"],
        ),
        "training": _mapping(
            {"epochs": _COUNT, "batch_size": _COUNT, "evaluate_every": {**_COUNT, "default": 10}},
            ["epochs", "batch_size"],
        ),
    },
    ["data", "model", "optimizer", "training"],
)

_EXPERIMENT = _mapping(
    {
        "setups": _list({"type": "string"}),
        "methods": _list(_ENTRY),
        "activations": _list(_ENTRY),
        **{strength: _list(_NOT_NEGATIVE) for strength in STRENGTHS},
        "seeds": _list(_SEED),
    },
    ["setups", "methods", "activations", "seeds"],
)

_FIGURE = _mapping(
    {
        "title": {"type": "string", "default": ""},
        "experiments": _list({"type": "string"}),
        "kind": {"enum": list(FIGURES), "default": "accuracy_curve"},
        "x": {"type": "string"},
        "y": {"enum": METRICS, "default": "test_accuracy"},
        "rows": _AXIS,
        "columns": _AXIS,
        "lines": _AXIS,
        "report": {"enum": ["final", "best_validation"], "default": "final"},
    },
    ["experiments", "x"],
)

STUDY = _mapping(
    {
        "version": {"type": "integer"},
        "name": _NAME,
        "store": {"type": "string", "pattern": r"^[\w./][\w./+@=:,-]*\Z", "default": "results"},
        "limit_runs": {**_COUNT, "default": 10000},
        "setups": _named(_SETUP, minProperties=1),
        "experiments": _named(_EXPERIMENT, minProperties=1),
        "figures": _named(_FIGURE, default={}),
    },
    ["version", "name", "setups", "experiments"],
)

# What an entry of each kind may name.
ENTRIES: dict[str, Mapping[str, Entry]] = {
    "data": DATASETS,
    "model": MODELS,
    "loss": LOSSES,
    "method": METHODS,
    "activation": ACTIVATIONS,
    "second_derivative": SECOND_DERIVATIVES,
}


class StudyError(UserError):
    """What is wrong, and where in the study; the loader adds the file."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}" if where else what)


def check(value: Any, schema: Schema, where: str = "") -> Any:
    """Checks a value and returns it complete: with defaults, and numbers of their declared type.

    Raises:
      StudyError: names the place and, for a wrong key, the nearest valid one.
    """
    error = min(Draft202012Validator(schema).iter_errors(value), key=_order, default=None)
    if error is not None:
        raise StudyError(join(where, *error.absolute_path), _message(error))
    return _complete(value, schema)


def _order(error: ValidationError) -> tuple[list[str], bool]:
    """From the top of the file down; a misspelt key before the one that it leaves missing."""
    return list(map(str, error.absolute_path)), error.validator != "additionalProperties"


@lru_cache
def entry_schema(kind: str, name: str) -> dict[str, Any]:
    """The schema of an entry's mapping: its name, its options, and what its kind adds."""
    entry = ENTRIES[kind][name]
    extra: dict[str, Schema] = {"second_derivative": {"default": None}} if kind == "activation" else {}
    required = [option for option, schema in entry.options.items() if "default" not in schema]
    return _mapping({"name": {"const": name}, **entry.options, **extra}, ["name", *required])


def check_entry(kind: str, value: Any, where: str) -> dict[str, Any]:
    """Checks an entry, ``name`` or ``{name: …, options…}``, and returns it as a complete mapping.

    Raises:
      StudyError: it names nothing that exists, or an option is unknown, missing or of the wrong type.
    """
    entry = {"name": value} if isinstance(value, str) else value
    known = ENTRIES[kind]
    if not isinstance(entry, Mapping):
        raise StudyError(where, f"{shown(value)} is neither a name nor a mapping with a name")
    if "name" not in entry:
        raise StudyError(where, f"the key 'name' is missing; it names one of {_listed(known)}")
    name = entry["name"]
    if not isinstance(name, str) or name not in known:
        place = where if isinstance(value, str) else join(where, "name")
        raise StudyError(place, f"unknown {kind.replace('_', ' ')} {shown(name)}; {suggestion(name, known)}")
    complete = check(dict(entry), entry_schema(kind, name), where)
    if complete.get("second_derivative") is not None:
        complete["second_derivative"] = check_entry(
            "second_derivative", complete["second_derivative"], join(where, "second_derivative")
        )
    return complete


def shown(value: Any) -> str:
    """A value as a study writes it: null and true, where Python has None and True."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def suggestion(wrong: Any, valid: Iterable[str]) -> str:
    """``did you mean 'x'?``, or what there is to choose from."""
    valid = list(valid)
    near = difflib.get_close_matches(str(wrong), valid, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {_listed(valid)}"


def join(where: str, *parts: str | int) -> str:
    """``experiments.a.rho[2]``."""
    for part in parts:
        where = f"{where}[{part}]" if isinstance(part, int) else f"{where}.{part}" if where else part
    return where


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _complete(value: Any, schema: Schema) -> Any:
    if isinstance(value, Mapping) and "properties" in schema:
        properties = schema["properties"]
        defaults = {key: part["default"] for key, part in properties.items() if "default" in part and key not in value}
        return {key: _complete(part, properties[key]) for key, part in {**value, **defaults}.items()}
    if isinstance(value, Mapping) and isinstance(schema.get("additionalProperties"), Mapping):
        return {key: _complete(part, schema["additionalProperties"]) for key, part in value.items()}
    if isinstance(value, list) and "items" in schema:
        return [_complete(part, schema["items"]) for part in value]
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "integer" in types:
            return int(value)
        if "number" in types:
            return float(value)
    return value


_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


def _message(error: ValidationError) -> str:
    value: Any = error.instance
    limit: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            valid = cast(Schema, error.schema)["properties"]
            unknown = next(key for key in value if key not in valid)
            if list(valid) == ["name"]:
                return f"unknown key {unknown!r}; {value['name']!r} has no options"
            return f"unknown key {unknown!r}; {suggestion(unknown, valid)}"
        case "required":
            return f"the key {next(key for key in limit if key not in value)!r} is missing"
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            return f"{shown(value)} is not {' or '.join(_TYPES[kind] for kind in kinds)}"
        case "enum":
            return f"unknown value {shown(value)}; {suggestion(value, map(str, limit))}"
        case "pattern" if error.absolute_path and error.absolute_path[-1] == "store":
            return f"{value!r} is not a plain path; use letters, digits and . / _ - without blanks or braces"
        case "pattern":
            return f"{value!r} is not a name; use letters, digits, '_' and '-', starting with a letter or digit"
        case "maxLength":
            return f"{value[:20] + '…'!r} is longer than {limit} characters, which file names have no room for"
        case "minimum":
            return f"{value} is below the smallest allowed value, {limit}"
        case "maximum":
            return f"{value} is above the largest allowed value, {limit}"
        case "exclusiveMinimum":
            return f"{value} is not above {limit}"
        case "exclusiveMaximum":
            return f"{value} is not below {limit}"
        case "multipleOf":
            return f"{value} is not a multiple of {limit}"
        case "uniqueItems":
            repeated = next(part for i, part in enumerate(value) if part in value[:i])
            return f"{shown(repeated)} is listed twice"
        case "minItems":
            return "is empty; give at least one value"
        case "minProperties":
            return "is empty; name at least one"
    return error.message
