"""Where data sets come from, and what is missing for those that no generator makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nmepkg.files import content_sha256
from nmepkg.registry import DATASETS
from nmepkg.study.checks import StudyError, join, suggestion
from nmepkg.study.spec import Study


def check_sources(sources: Mapping[str, str]) -> None:
    """Refuses sources of what has none.

    Raises:
      StudyError: a name is that of no data set, or of one that is made from nothing.
    """
    for name in sources:
        if name not in DATASETS:
            known = [name for name, entry in DATASETS.items() if entry.source]
            raise StudyError(join("sources", name), f"unknown data set {name!r}; {suggestion(name, known)}")
        if DATASETS[name].source is None:
            raise StudyError(join("sources", name), f"{name!r} is made from nothing, so it has no source; remove it")


def content_of(name: str, sources: Mapping[str, str]) -> dict[str, str]:
    """``content``, a hash of the user's files that a data set is read from, for its spec; nothing of other data sets.

    So a file that is edited is another data set, and one that is moved or copied is the same.

    Raises:
      StudyError: no files are named, or they cannot be read.
    """
    if DATASETS[name].source != "files":
        return {}
    if name not in sources:
        raise StudyError(join("sources", name), f"missing; name the file or folder that {name!r} is read from")
    try:
        return {"content": content_sha256(Path(sources[name]))[:16]}
    except OSError as error:
        raise StudyError(join("sources", name), f"{error.filename}: {error.strerror}; name a file or folder") from None


def source_of(study: Study, data: str) -> Path | None:
    """The folder that a study names for a data set."""
    folder = study.sources.get(data)
    return None if folder is None else Path(folder)
