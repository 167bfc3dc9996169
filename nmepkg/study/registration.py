"""Which results a study uses, kept in its store, so that nobody who tidies up there takes them for left over."""

from __future__ import annotations

import getpass
import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmepkg import records
from nmepkg.storage import Store
from nmepkg.study.spec import Expansion, Study

KIND = records.Kind("registration of a study", 1, "delete it, and run that study's snakemake again")


def uses(expansion: Expansion) -> dict[str, list[str]]:
    """Ids of all that a study asks for, by the store's folders."""
    return {
        "runs": list(expansion.runs),
        "data": list(expansion.datasets),
        "measurements": list(expansion.measurements),
        "landscapes": [job.id for panels in expansion.landscapes.values() for _, job in panels],
    }


def register(study: Study, expansion: Expansion) -> None:
    """Records in the store what a study uses, in place of what it used before."""
    path = study.path.absolute()
    taken = "" if study.select is None else f":{','.join(study.select)}"  # beside what the whole study uses
    name = hashlib.sha256(f"{socket.gethostname()}:{path}{taken}".encode()).hexdigest()[:12]
    content = {
        "study": str(path),
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **uses(expansion),
    }
    records.write(Path(study.store, "studies", f"{study.name}-{name}.json"), KIND, content)


def registered(store: Store) -> Iterator[dict[str, Any]]:
    """The registrations in a store.

    Raises:
      DamagedError: one cannot be read, so that what it uses is not known.
    """
    for path in sorted((store.root / "studies").glob("*.json")):
        yield records.read(path, KIND, {})
