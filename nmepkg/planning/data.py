"""Which data sets are needed, and what is missing for those that no generator makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from nmepkg.files import present
from nmepkg.registry import DATASETS
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study.sources import source_of
from nmepkg.study.spec import Study

_READERS = ("tensorflow_datasets", "tensorflow")


def wanted(expansion: Expansion, store: Store) -> list[str]:
    """Ids of the data sets that some training or measurement still needs."""
    runs = [run.data_id for run in expansion.runs.values() if not store.finished(run.id)]
    measured = [
        expansion.runs[str(job.run)].data_id
        for job in expansion.measurements.values()
        if not present(store.measurement(str(job.run), job.id))
    ]
    return list(dict.fromkeys([*runs, *measured]))


def missing(study: Study, expansion: Expansion, store: Store, ids: Iterable[str]) -> Iterator[str]:
    """A line for each of these data sets that can neither be read from the store nor be made: what to do."""
    told = set()
    for id in ids:
        name = expansion.datasets[id].spec["name"]
        if name in told or (all(map(present, store.data_files(id))) and not DATASETS[name].streamed):
            continue
        told.add(name)
        problem = _problem(study, name)
        if problem is not None:
            yield f"{study.path}: {problem}{_without(study, name)}"


def _problem(study: Study, name: str) -> str | None:
    kind, folder = DATASETS[name].source, source_of(study, name)
    if kind is None or kind == "files":  # whose content was read with the study
        return None
    if folder is not None and not folder.is_dir():
        return f"sources.{name}: {folder} is no folder; name that of the data set's {_HOLDS[kind]}"
    if kind == "prepared" and folder is None:
        return (
            f"sources.{name}: missing, and nobody but you can download {name!r}; prepare it by "
            f"'tfds build {name} --file_format=array_record --manual_dir=ARCHIVES --data_dir=FOLDER' "
            f"and write sources: {{{name}: FOLDER}}"
        )
    lacking = [module for module in _READERS if find_spec(module) is None]
    if kind == "archives" and lacking:
        return f"setups: {name!r} is read by {lacking[0]}, which is not installed; run: python -m pip install 'nmepkg[prepare]'"
    return None


_HOLDS = {"archives": "archives", "prepared": "prepared files"}


def _without(study: Study, name: str) -> str:
    """How to do without a data set, where the study has others."""
    others = [setup.name for setup in study.setups.values() if setup.spec["data"]["name"] != name]
    return f", or leave it out by select: [{', '.join(others)}]" if others else ""
