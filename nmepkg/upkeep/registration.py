"""Which results a study uses, kept in its store, so that nobody who tidies up there takes them for left over."""

from __future__ import annotations

import getpass
import hashlib
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.records import to_json
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.overrides import arguments
from nmepkg.study.spec import Study

KIND = records.Kind("registration of a study", 1, "delete it, and run that study's snakemake again")


def uses(expansion: Expansion) -> dict[str, list[str]]:
    """Ids of all that a study asks for, by the store's folders."""
    return {
        "runs": list(expansion.runs),
        "data": list(expansion.datasets),
        "measurements": list(expansion.measurements),
        "landscapes": list(expansion.panels()),
    }


def register(study: Study, expansion: Expansion) -> None:
    """Records in the store what a study uses, in place of what it used before."""
    path = study.path.absolute()
    what = "" if variant(study) == (False, None) else to_json(variant(study))  # beside what the whole study uses
    name = hashlib.sha256(f"{socket.gethostname()}:{path}{what}".encode()).hexdigest()[:12]
    content = {
        "study": str(path),
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "smoke": study.smoke,
        "select": study.select and list(study.select),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **uses(expansion),
    }
    records.write(Path(study.store, "studies", f"{study.name}-{name}.json"), KIND, content)


def variant(study: Study) -> tuple[bool, tuple[str, ...] | None]:
    """What was made of the study in a file: whether it is in small, and which setups were taken."""
    return study.smoke, study.select


def registered_variant(content: Mapping[str, Any]) -> tuple[bool, tuple[str, ...] | None]:
    """The variant that a registration is of. Older ones do not say; they count as that of the whole study."""
    select = content.get("select")
    return content.get("smoke", False), select and tuple(select)


def registered(store: Store) -> Iterator[dict[str, Any]]:
    """The registrations in a store.

    Raises:
      DamagedError: one is not what was written, so that what it uses is not known.
      PermissionError: one is closed to this user.
    """
    for path in _files(store):
        yield records.read(path, KIND, {})


def name_of(content: Mapping[str, Any]) -> str:
    """How a registration's study is called: ``HOST:FILE``, and what its variant is called with."""
    smoke, select = registered_variant(content)
    options = arguments({**({"smoke": True} if smoke else {}), **({"select": select} if select else {})})
    return f"{content['host']}:{content['study']} {options}".strip()


def forget(store: Store, study: str) -> None:
    """Takes back that a study uses a store.

    Args:
      study: its file, or ``HOST:FILE``, of all its variants; or the whole name of one.

    Raises:
      UserError: no such study is registered.
    """
    known = {path: records.read(path, KIND, {}) for path in _files(store)}
    matches = [
        path
        for path, content in known.items()
        if study in (name_of(content), f"{content['host']}:{content['study']}")
        or str(Path(study).absolute()) == content["study"]
    ]
    if not matches:
        names = ", ".join(dict.fromkeys(map(name_of, known.values()))) or "none"
        raise UserError(f"{study}: not registered in {store.root}; choose from {names}")
    for path in matches:
        path.unlink()


def _files(store: Store) -> list[Path]:
    return sorted((store.root / "studies").glob("*.json"))
