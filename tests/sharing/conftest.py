from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nmepkg.__main__ import main
from tests.sharing.filled import filled
from tests.upkeep.made import Made


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command sets for its process is no longer set for the next test."""
    monkeypatch.setenv("MPLBACKEND", "agg")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study, all of its results, and archives of these without and with parameters."""
    folder = tmp_path_factory.mktemp("whole")
    filled(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["export", "config/study.yaml", "bare.tar.xz"]) == 0
        assert main(["export", "config/study.yaml", "full.tar.xz", "--parameters"]) == 0
    return folder


@pytest.fixture
def here(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Another machine's folder: the study, and the archives; and no results."""
    folder = tmp_path / "here"
    folder.mkdir()
    made = Made(folder)
    shutil.copy(whole / "config" / "study.yaml", made.path)
    for name in ("bare.tar.xz", "full.tar.xz"):
        shutil.copy(whole / name, folder)
    monkeypatch.chdir(folder)
    return made
