"""An archive read from its beginning to its end, and refused unless all of it is what it says."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmepkg import records
from nmepkg.files import arrays_sha256
from nmepkg.records import Kind, digest
from nmepkg.runs.looks import DECLARED, LOOK
from nmepkg.sharing import archive
from nmepkg.storage import CODE, LANDSCAPE, MEASUREMENT, RESULT
from nmepkg.upkeep.differences import leaves
from nmepkg.upkeep.survey import serving_code

# What a study asks for, by the folder that it is in.
KINDS: Mapping[str, Kind] = {"runs": RESULT, "measurements": MEASUREMENT, "landscapes": LANDSCAPE}


@dataclass(frozen=True)
class Checked:
    """An archive all of which was read, and is what it says.

    Attributes:
      numbers: (``runs``, ``measurements`` or ``landscapes``, id) -> digest of what was found, whenever and wherever that was.
      of: the same of each, without lists: by which it can be said in what two differ.
      run: id of a measurement -> that of its run.
      files: run -> name in its folder -> SHA-256, of what its result speaks of.
    """

    path: Path
    manifest: Mapping[str, Any]
    numbers: Mapping[tuple[str, str], str]
    of: Mapping[tuple[str, str], Mapping[str, Any]]
    run: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]]


def check(path: Path) -> Checked:
    """Reads all of an archive.

    Raises:
      DamagedError: something is not what its manifest, its seal or its id says.
    """
    manifest = archive.manifest_of(path)
    stated = archive.files_of(manifest)
    numbers: dict[tuple[str, str], str] = {}
    of: dict[tuple[str, str], Mapping[str, Any]] = {}
    runs: dict[str, str] = {}
    files: dict[str, Mapping[str, str]] = {}
    for name, pieces in archive.contents(path, manifest):
        kind, id = place(name)
        if kind in ("arrays", "text"):
            for _ in pieces:
                pass
            continue
        raw = b"".join(pieces)
        content = _landscape(path, name, raw) if kind == "landscapes" else _record(path, name, raw, kind)
        if kind not in KINDS:
            continue
        _check_id(path, name, kind, id, content)
        numbers[kind, id], of[kind, id] = numbers_of(content), plain(content)
        if kind == "measurements":
            runs[id] = content["run"]
        elif kind == "runs":
            files[id] = content["files"]
            for file, sha256 in content["files"].items():
                there = stated.get(f"runs/{id}/{file}")
                if there is not None and there.sha256 != sha256:
                    raise archive.KIND.refuse(path, f"of parts that do not belong together: {file} is not that of {id}")
    for name in stated:
        kind, id = place(name)
        if kind == "arrays" and name.split("/", 2)[2] not in files.get(id, ()):
            raise archive.KIND.refuse(path, f"with a file of which no result speaks: {name}")
    return Checked(path, manifest, numbers, of, runs, files)


def place(name: str) -> tuple[str, str]:
    """(kind, id) of a file of an archive."""
    section, _, rest = name.partition("/")
    id = rest.partition("/")[0]
    if section == "runs":
        return ("runs" if name.endswith("/result.json") else "arrays"), id
    if section == "measurements":
        return section, Path(name).stem
    if section == "claims":
        return ("look" if Path(name).stem.startswith("look-") else "declared"), id
    return (section, Path(id).stem) if section in ("landscapes", "code") else ("text", "")


_RECORDS: Mapping[str, Kind] = {
    "runs": RESULT,
    "measurements": MEASUREMENT,
    "code": CODE,
    "look": LOOK,
    "declared": DECLARED,
}


def _record(path: Path, name: str, raw: bytes, kind: str) -> dict[str, Any]:
    try:
        content = records.unseal(raw.decode("utf-8"))
    except ValueError as error:
        raise archive.KIND.refuse(path, f"damaged: {name} is {error}") from None
    reads = _RECORDS[kind].format
    if content.get("format") != reads:
        problem = f"of another version: {name} is of format {content.get('format')!r}, and this one reads {reads}"
        raise Kind("archive", 1, "use the nmepkg that its manifest names").refuse(path, problem)
    return content


def _landscape(path: Path, name: str, raw: bytes) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(raw)) as file:
            arrays = {key: file[key] for key in file.files}
        content = records.unseal(str(arrays.pop("description")))
        whole = content["arrays"] == arrays_sha256(arrays)
    except Exception as error:  # of a damaged archive of arrays, nearly anything
        raise archive.KIND.refuse(path, f"damaged: {name} is not readable ({error})") from None
    if not whole:
        raise archive.KIND.refuse(path, f"damaged: {name} is not of the arrays that it had")
    return content


def _check_id(path: Path, name: str, kind: str, id: str, content: Mapping[str, Any]) -> None:
    """Refuses a result under an id that is not its own."""
    try:
        provenance, spec = content["provenance"], content["spec"]
        code = serving_code(provenance)
        of = {
            "runs": lambda: [spec, code, provenance["data"]],
            "measurements": lambda: [spec, code, content["run"]],
            "landscapes": lambda: [spec, code],
        }[kind]()
        own = {"runs": content.get("run"), "measurements": content.get("measurement")}.get(kind, id)
        where = {"measurements": f"measurements/{content.get('run')}/"}.get(kind, f"{kind}/{id}")
    except (KeyError, TypeError, IndexError):
        raise archive.KIND.refuse(path, f"damaged: {name} does not say what it is of") from None
    # One that was adopted may have had its data prepared by other code too, which its id has and its provenance has not.
    known = digest(of) == id[-12:] or (kind == "runs" and bool(provenance.get("adopted")))
    if own != id or not name.startswith(where) or not known:
        raise archive.KIND.refuse(path, f"with a result under another's name: {name}")


def numbers_of(content: Mapping[str, Any]) -> str:
    """What was found, whoever found it."""
    return digest({key: value for key, value in content.items() if key != "provenance"})


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """The single numbers of a result."""
    parts = {key: content[key] for key in ("status", "final", "files", "arrays") if key in content}
    for i, point in enumerate(content.get("points", ())):
        parts[f"points[{i}]"] = point
    return leaves(parts)


def file_of(checked: Checked, name: str) -> bytes:
    """A file of an archive, as it is there."""
    for found, pieces in archive.contents(checked.path, checked.manifest):
        if found == name:
            return b"".join(pieces)
    raise archive.KIND.refuse(checked.path, f"without {name}")
