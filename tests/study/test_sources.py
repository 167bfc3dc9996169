"""Where a study says that data sets come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.study.sources import source_of
from tests.study.samples import study

CIFAR = ("{name: mnist1d, samples: 200}", "cifar10")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{cifr10: x}", "sources.cifr10: unknown data set 'cifr10'; did you mean 'cifar10'?"),
        ("{mnist1d: x}", "sources.mnist1d: 'mnist1d' is made from nothing, so it has no source; remove it"),
        ("{cifar10: ''}", "sources.cifar10: '' is not a path; name a folder"),
        ("{cifar10: 3}", "sources.cifar10: 3 is not text; write, say, name"),
    ],
)
def test_what_is_no_source(tmp_path: Path, written: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        study(tmp_path, ("name: tiny", f"name: tiny\nsources: {written}"))
    assert str(caught.value) == f"{tmp_path / 'study.yaml'}: {message}"


def test_a_source_is_written_as_the_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``~`` and variables of the shell; one that is not set is refused by its name."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/some/data")

    def written(text: str) -> Path | None:
        named = study(tmp_path, CIFAR, ("name: tiny", f"name: tiny\nsources: {{cifar10: '{text}'}}"))
        return source_of(named, "cifar10")

    assert written("~/data") == Path("/home/me/data")
    assert written("${DATA}/cifar") == Path("/some/data/cifar")
    with pytest.raises(UserError, match=r"sources\.cifar10: the variable \$NO_SUCH is not set; set it"):
        written("$NO_SUCH/cifar")


def test_a_source_is_no_part_of_a_run(tmp_path: Path) -> None:
    named = study(tmp_path, CIFAR, ("name: tiny", "name: tiny\nsources: {cifar10: here}"))
    assert set(expand(named).runs) == set(expand(study(tmp_path, CIFAR)).runs)


def test_a_source_is_that_of_its_data_set(tmp_path: Path) -> None:
    named = study(tmp_path, CIFAR, ("name: tiny", "name: tiny\nsources: {cifar10: here}"))
    assert source_of(named, "cifar10") == Path("here")
    assert source_of(named, "mnist") is None
