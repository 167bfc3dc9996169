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
from nmepkg.sharing.archive import File
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
    numbers: dict[tuple[str, str], str]
    of: dict[tuple[str, str], Mapping[str, Any]]
    run: dict[str, str]
    files: dict[str, Mapping[str, str]]


def check(path: Path) -> Checked:
    """Reads all of an archive.

    Raises:
      DamagedError: something is not what its manifest, its seal or its id says.
    """
    manifest = archive.manifest_of(path)
    stated = archive.files_of(manifest)
    found = Checked(path, manifest, {}, {}, {}, {})
    for name, pieces in archive.contents(path, manifest):
        kind, id = place(name)
        if kind in ("arrays", "text"):
            for _ in pieces:
                pass
            continue
        raw = b"".join(pieces)
        try:
            content = _landscape(raw) if kind == "landscapes" else _record(path, name, raw, kind)
            _take(found, stated, name, content)
        except records.DamagedError:
            raise
        except Exception as error:  # of JSON or arrays that somebody else wrote, nearly anything
            text = str(error) or type(error).__name__
            raise archive.KIND.refuse(path, f"damaged: {name} is not what it should be ({text})") from None
    for name in stated:
        kind, id = place(name)
        if kind == "arrays" and name.split("/", 2)[2] not in found.files.get(id, ()):
            raise archive.KIND.refuse(path, f"with a file of which no result speaks: {name}")
    return found


def _take(found: Checked, stated: Mapping[str, File], name: str, content: Mapping[str, Any]) -> None:
    """Notes what a file holds, if it is that of its name."""
    kind, id = place(name)
    if (kind in KINDS and not _is_own(name, kind, id, content)) or (kind == "code" and content["code"] != id):
        raise archive.KIND.refuse(found.path, f"with a result under another's name: {name}")
    if kind not in KINDS:
        return
    found.numbers[kind, id], found.of[kind, id] = numbers_of(content), plain(content)
    if kind == "measurements":
        found.run[id] = content["run"]
    elif kind == "runs":
        found.files[id] = {str(file): str(sha256) for file, sha256 in content["files"].items()}
        for file, sha256 in found.files[id].items():
            there = stated.get(f"runs/{id}/{file}")
            if there is not None and there.sha256 != sha256:
                problem = f"of parts that do not belong together: {file} is not that of {id}"
                raise archive.KIND.refuse(found.path, problem)


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


def _landscape(raw: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(raw)) as file:
        arrays = {key: file[key] for key in file.files}
    content = records.unseal(str(arrays.pop("description")))
    if content["arrays"] != arrays_sha256(arrays):
        raise ValueError("not of the arrays that it had")
    return content


def _is_own(name: str, kind: str, id: str, content: Mapping[str, Any]) -> bool:
    """Whether a result is that of its id, which is of its spec, its code, and its data or run."""
    provenance, spec = content["provenance"], content["spec"]
    code = serving_code(provenance)
    if kind == "landscapes":
        return digest([spec, code]) == id[-12:]
    if kind == "measurements":
        where = f"measurements/{content['run']}/{content['measurement']}.json"
        return where == name and digest([spec, code, content["run"]]) == id[-12:]
    # One that was adopted may have had its data prepared by other code too, which its id has and its provenance has not.
    known = bool(provenance.get("adopted")) or digest([spec, code, provenance["data"]]) == id[-12:]
    return known and content["run"] == id


def numbers_of(content: Mapping[str, Any]) -> str:
    """What was found, whoever found it, and whatever else of a run was kept."""
    found = {key: value for key, value in content.items() if key != "provenance"}
    if "files" in found:
        found["files"] = content["files"].get("params.npz")
    return digest(found)


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
