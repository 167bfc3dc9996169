"""Data sets that are missing are said before any job, with what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nmepkg.planning import data
from nmepkg.runs.expand import expand
from nmepkg.storage import RESULT, Store
from nmepkg.study.spec import Study
from tests.study.samples import study

CIFAR = (("{name: mnist1d, samples: 200}", "cifar10"),)
IMAGENET = (("{name: mnist1d, samples: 200}", "imagenet2012"),)


@pytest.fixture(autouse=True)
def _readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "find_spec", lambda name: object())


def lacking(checked: Study, folder: Path) -> list[str]:
    expansion, store = expand(checked), Store(folder / "store")
    lines = list(data.missing(checked, expansion, store, data.wanted(expansion, store)))
    assert all("\n" not in line and line.startswith(f"{checked.path}: ") for line in lines)
    return [line.removeprefix(f"{checked.path}: ") for line in lines]


def test_what_a_generator_makes_is_never_missing(tmp_path: Path) -> None:
    assert lacking(study(tmp_path), tmp_path) == []


def test_prepared_data_without_a_folder(tmp_path: Path) -> None:
    (line,) = lacking(study(tmp_path, *IMAGENET), tmp_path)
    assert line == (
        "sources.imagenet2012: missing, and nobody but you can download 'imagenet2012'; prepare it by 'tfds build imagenet2012 "
        "--file_format=array_record --manual_dir=ARCHIVES --data_dir=FOLDER' and write sources: {imagenet2012: FOLDER}"
    )


def test_what_else_there_is_to_select(tmp_path: Path) -> None:
    other = (
        "  other:\n    data: mnist1d\n    model: {name: mlp, width: 4, depth: 1}\n    optimizer: {learning_rate: 0.1}\n"
    )
    other += "    training: {epochs: 1, batch_size: 32}\n"
    (line,) = lacking(study(tmp_path, *IMAGENET, ("experiments:\n", f"{other}experiments:\n")), tmp_path)
    assert line.endswith("write sources: {imagenet2012: FOLDER}, or leave it out by select: [other]")


@pytest.mark.parametrize(("edits", "what"), [(IMAGENET, "prepared files"), (CIFAR, "archives")])
def test_a_folder_that_is_none(tmp_path: Path, edits: tuple[tuple[str, str]], what: str) -> None:
    name = edits[0][1]
    named = study(tmp_path, *edits, ("name: tiny", f"name: tiny\nsources: {{{name}: nowhere/at all}}"))
    assert lacking(named, tmp_path) == [
        f"sources.{name}: nowhere/at all is no folder; name that of the data set's {what}"
    ]
    assert lacking(replace(named, sources={name: str(tmp_path)}), tmp_path) == []


def test_archives_without_what_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking(study(tmp_path, *CIFAR), tmp_path) == [], "they are downloaded"
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    (line,) = lacking(study(tmp_path, *CIFAR), tmp_path)
    assert line == (
        "setups: 'cifar10' is read by tensorflow_datasets, which is not installed; "
        "run: python -m pip install 'nmepkg[prepare]'"
    )


def test_only_what_is_still_needed_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    store = Store(tmp_path / "store")
    for edits, left in ((CIFAR, 0), (IMAGENET, 1)):
        checked = study(tmp_path, *edits)
        (id,) = expand(checked).datasets
        for file in store.data_files(id):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        assert len(lacking(checked, tmp_path)) == left, (
            "what is streamed is read all along, what is prepared lies in the store"
        )
    for run in expand(checked).runs:
        store.run(run).mkdir(parents=True)
        store.result(run).touch()
        (store.run(run) / "params.npz").touch()
    assert lacking(checked, tmp_path) == [], RESULT.name
