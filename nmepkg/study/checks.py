"""Checks of a study against its schema: one clear line for what is wrong, defaults for what is left out."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from nmepkg.entries import Entry, Schema
from nmepkg.errors import UserError
from nmepkg.registry import STRENGTHS
from nmepkg.study.schema import ENTRIES, entry_schema
from nmepkg.study.strict_yaml import shortened


class StudyError(UserError):
    """What is wrong, and where in the study; the loader adds the file."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}" if where else what)


def _whole(_: Any, value: Any) -> bool:
    """Whether a value is a whole number that fits into 64 bits: 2.0 is one, 1e300 and true are none."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < 2**63 and value == int(value)


def _unique(_: Any, wanted: bool, value: Any, __: Schema) -> Iterator[ValidationError]:
    """As jsonschema's own, but not slow where a list is long and mixed."""
    seen = set()
    for part in value if wanted and isinstance(value, list) else ():
        same = json.dumps(part, sort_keys=True) if isinstance(part, list | dict) else (isinstance(part, bool), part)
        if same in seen:
            yield ValidationError(f"{shown(part)} is listed twice; remove one")
            return
        seen.add(same)


_Validator = extend(
    Draft202012Validator,
    {"uniqueItems": _unique},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _whole),
)


def check(value: Any, schema: Schema, where: str = "") -> Any:
    """Checks a value and returns it complete: with defaults, and numbers of their declared type.

    Raises:
      StudyError: names the place and, for a wrong key, the nearest valid one.
    """
    error = min(_Validator(schema).iter_errors(value), key=_order, default=None)
    if error is not None:
        raise StudyError(join(where, *error.absolute_path), _message(error, where))
    return _complete(value, schema)


def _order(error: ValidationError) -> tuple[list[str], bool]:
    """From the top of the file down; a misspelt key before the one that it leaves missing."""
    return list(map(str, error.absolute_path)), error.validator != "additionalProperties"


def check_entry(kind: str, value: Any, where: str, key: str = "name") -> dict[str, Any]:
    """Checks an entry, ``name`` or ``{name: …, options…}``, and returns it as a complete mapping.

    Args:
      key: under which the mapping names what it is.

    Raises:
      StudyError: it names nothing that exists, or an option is unknown, missing or of the wrong type.
    """
    entry = {key: value} if isinstance(value, str) else value
    known = ENTRIES[kind]
    if not isinstance(entry, Mapping):
        raise StudyError(where, f"{shown(value)} is neither a name nor a mapping with a name")
    if key not in entry:
        raise StudyError(where, f"the key {key!r} is missing; it names one of {_listed(known)}")
    name = entry[key]
    if not isinstance(name, str) or name not in known:
        place = where if isinstance(value, str) else join(where, key)
        raise StudyError(place, f"unknown {kind.replace('_', ' ')} {shown(name)}; {suggestion(name, known)}")
    strengths = [option for option in entry if kind == "method" and option in STRENGTHS]
    if strengths:
        option = strengths[0]
        here = f"{option}: [{shown(entry[option])}]"
        raise StudyError(join(where, option), f"is a key of the experiment, of all its methods; write {here} there")
    if kind == "optimizer":
        _refuse_another_optimizers(name, entry, known, where)
    complete = check(dict(entry), entry_schema(kind, name, key), where)
    if (refuse := known[name].check) is not None:
        try:
            refuse(complete)
        except ValueError as problem:
            raise StudyError(where, f"{name!r}: {problem}") from None
    if complete.get("second_derivative") is not None:
        complete["second_derivative"] = check_entry(
            "second_derivative", complete["second_derivative"], join(where, "second_derivative")
        )
    return complete


def _refuse_another_optimizers(name: str, entry: Mapping[str, Any], known: Mapping[str, Entry], where: str) -> None:
    """An option that another optimiser has, as one that is merged from another setup's."""
    for option in entry:
        others = [other for other in known if option in known[other].options]
        if others and name not in others:
            raise StudyError(
                join(where, option),
                f"is an option of {', '.join(map(repr, others))}, and the name is {name!r}; remove it",
            )


def shown(value: Any) -> str:
    """A value as a study writes it: null and true, where Python has None and True. A long one is cut off."""
    return json.dumps(value) if value is None or isinstance(value, bool) else shortened(repr(value))


def suggestion(wrong: Any, valid: Iterable[str]) -> str:
    """``did you mean 'x'?``, or what there is to choose from."""
    valid = list(valid)
    if not valid:
        return "the study has none, so add it"
    near = difflib.get_close_matches(str(wrong)[:100], valid, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {_listed(valid)}"


def join(where: str, *parts: str | int) -> str:
    """``experiments.a.rho[2]``."""
    for part in parts:
        if isinstance(part, int):
            where = f"{where}[{part}]"
        else:
            part = shortened(part, 100)  # as long as a name may be
            where = f"{where}.{part}" if where else part
    return where


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:20] + (["…"] if len(names) > 20 else []))


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


_TEXTS = ("title", "caption", "device")

# What a type is called, and an example.
_TYPES = {
    "object": ("a mapping", "{key: value}"),
    "array": ("a list", "[a, b]"),
    "string": ("text", "name"),
    "number": ("a number", "0.1"),
    "integer": ("a whole number", "1"),
    "boolean": ("true or false", "true"),
    "null": ("null", "null"),
}


_FORMER = {
    "snapshots": "remove it: trainings keep their parameters at the steps at which they are measured"
}  # until 0.2


def _message(error: ValidationError, where: str) -> str:
    value: Any = error.instance
    limit: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            valid = cast(Schema, error.schema)["properties"]
            unknown = next(key for key in value if key not in valid)
            if unknown in _FORMER:
                return f"unknown key {shown(unknown)}; {_FORMER[unknown]}"
            if list(valid) == ["name"]:
                return f"unknown key {shown(unknown)}; {value['name']!r} has no options, so remove it"
            return f"unknown key {shown(unknown)}; {suggestion(unknown, valid)}"
        case "required":
            return f"the key {next(key for key in limit if key not in value)!r} is missing; add it"
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            wrong = f"{shown(value)} is not {' or '.join(_TYPES[kind][0] for kind in kinds)}"
            return f"{wrong}; {_example(value, kinds, join(where, *error.absolute_path))}"
        case "enum":
            return f"unknown value {shown(value)}; {suggestion(value, map(str, limit))}"
        case "pattern" if message := cast(Schema, error.schema).get("patternErrorMessage"):
            return f"{shown(value)} {message}"
        case "maxLength":
            why = (
                ""
                if error.absolute_path and error.absolute_path[-1] in _TEXTS
                else ", which file names have no room for"
            )
            return f"{value[:20] + '…'!r} is longer than {limit} characters{why}; shorten it"
        case "minimum":
            return f"{shown(value)} is below the smallest allowed value, {limit}"
        case "maximum":
            return f"{shown(value)} is above the largest allowed value, {limit}"
        case "exclusiveMinimum":
            return f"{shown(value)} is not above {limit}; write a larger one"
        case "exclusiveMaximum":
            return f"{shown(value)} is not below {limit}; write a smaller one"
        case "multipleOf":
            return f"{shown(value)} is not a multiple of {limit}; write one that is"
        case "minItems" if not value:
            return "is empty; give at least one value"
        case "minItems" | "maxItems":
            return f"has {len(value)} {'value' if len(value) == 1 else 'values'}; give {limit}"
        case "minProperties":
            return "is empty; name at least one"
        case "anyOf":
            return f"{shown(value)} is none of {', '.join(map(_alternative, limit))}; write one of them"
    return error.message


def _example(value: Any, kinds: list[str], place: str) -> str:
    """How to write what has the wrong type: what is likely to be meant, or an example."""
    if "array" in kinds and isinstance(value, str | int | float):
        if place.endswith(".seeds") and isinstance(value, int):
            return f"write [{value}] for this seed, or [0, 1, 2, 3, 4] for five"
        return f"write, say, {shortened(f'[{value}]')}"
    if isinstance(value, list) and place.startswith("setups."):
        return "a setup has one value of everything: write a setup for each"
    number = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[A-Za-z]+\s*", value) if isinstance(value, str) else None
    if number and {"number", "integer"} & set(kinds):
        return f"write {number[1]}, {_UNITS.get(place.rpartition('.')[2], 'without a unit')}"
    return f"write, say, {_TYPES[kinds[0]][1]}"


_UNITS = {"hours": "which is in hours", "memory_gb": "which is in gigabytes", "seconds": "which is in seconds"}


def _alternative(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "title" in schema:
        return f"a {schema['title'].replace('`', '')}"
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    return f"{_TYPES[kind][0]} from {schema['minimum']}"
