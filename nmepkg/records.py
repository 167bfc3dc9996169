"""Results that say what they are: JSON of a known format, sealed by its own hash, and refused if anything is off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmepkg.errors import UserError
from nmepkg.files import written_whole

_SEAL, _END = ',\n "sha256": "', '"\n}\n'


class DamagedError(UserError):
    """A file that is not what it should be. Never used: it has to go before there can be another."""


@dataclass(frozen=True)
class Kind:
    """A kind of record.

    Attributes:
      name: how messages call it.
      format: the only one that is read.
      remedy: what to do about a damaged one, with ``{path}`` and ``{folder}``.
    """

    name: str
    format: int
    remedy: str

    def refuse(self, path: Path, problem: str) -> DamagedError:
        remedy = self.remedy.format(path=path, folder=path.parent)
        return DamagedError(f"{path}: the {self.name} is {problem}; {remedy}")


def to_json(value: Any) -> str:
    """The one text of a JSON-able value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Twelve hex digits of a JSON-able value."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:12]


def seal(content: Mapping[str, Any]) -> str:
    """JSON of a mapping whose last key, ``sha256``, is the hash of all the text before it.

    Raises:
      ValueError: a number is not finite, which JSON cannot say.
    """
    body = json.dumps(dict(content), indent=1, allow_nan=False).removesuffix("\n}")
    return f"{body}{_SEAL}{hashlib.sha256(body.encode()).hexdigest()}{_END}"


def unseal(text: str) -> dict[str, Any]:
    """The mapping that :func:`seal` made a text of.

    Raises:
      ValueError: says in what way the text is not what was written.
    """
    body, _, end = text.rpartition(_SEAL)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not readable as JSON ({error}), as after a crash or an edit") from None
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    if not body:
        raise ValueError("without its sha256, as one that this program did not write")
    if end != hashlib.sha256(body.encode()).hexdigest() + _END:
        raise ValueError("changed since it was written: its sha256 does not match")
    del content["sha256"]
    return content


def write(path: Path, kind: Kind, content: Mapping[str, Any]) -> None:
    """Writes a record, whole or not at all."""
    with written_whole(path) as file:
        file.write(seal({"format": kind.format, **content}).encode())


def read(path: Path, kind: Kind, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Reads a record and checks that it is whole, unchanged, and the one that is meant.

    Args:
      expected: keys that must have these values: what the record must be of.

    Raises:
      DamagedError: it is not; names the file, what is wrong and the remedy.
      PermissionError: it is closed to this user, which says nothing of what it is.
    """
    try:
        content = unseal(path.read_bytes().decode("utf-8"))
    except PermissionError:
        raise
    except OSError as error:
        raise kind.refuse(path, f"not readable ({error.strerror})") from None
    except ValueError as error:
        raise kind.refuse(path, str(error)) from None
    check(path, kind, content, expected)
    return content


def check(path: Path, kind: Kind, content: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuses a record of another format, or one that is not of what is ``expected``."""
    if content.get("format") != kind.format:
        raise kind.refuse(path, f"of format {content.get('format')!r}, this version reads format {kind.format}")
    for key, asked in expected.items():
        if content.get(key) != asked:
            raise kind.refuse(path, f"of something else: {first_difference(content.get(key), asked, key)}")


def first_difference(found: Any, asked: Any, where: str) -> str:
    """``spec.optimizer.momentum is 0.8 where 0.9 is asked for``."""
    if isinstance(found, Mapping) and isinstance(asked, Mapping):
        for key in [*asked, *(key for key in found if key not in asked)]:
            if key not in asked:
                return f"{where}.{key} is there where none is asked for"
            if key not in found:
                return f"{where}.{key} is missing"
            if found[key] != asked[key]:
                return first_difference(found[key], asked[key], f"{where}.{key}")
    return f"{where} is {found!r} where {asked!r} is asked for"
