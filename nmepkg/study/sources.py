"""Where data sets come from, and what is missing for those that no generator makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nmepkg.registry import DATASETS
from nmepkg.study.checks import StudyError, join, suggestion
from nmepkg.study.spec import Study

_READERS = ("tensorflow_datasets", "tensorflow")


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


def source_of(study: Study, data: str) -> Path | None:
    """The folder that a study names for a data set."""
    folder = study.sources.get(data)
    return None if folder is None else Path(folder)
