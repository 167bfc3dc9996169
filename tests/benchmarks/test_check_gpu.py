"""benchmarks/check_gpu on a CPU, in small: every stage, a second call, a stage that is cut off, another machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.check_gpu import __main__ as check_gpu
from benchmarks.check_gpu import numerics, outcomes, study
from benchmarks.check_gpu.outcomes import Outcome
from nmepkg.errors import UserError
from nmepkg.study.load import load


def states(folder: Path) -> dict[str, str]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8"))["state"] for file in folder.glob("*.json")}


def test_every_stage_passes_in_small_and_is_not_done_twice(tmp_path: Path) -> None:
    assert check_gpu.check(tmp_path, 5, list(check_gpu.STAGES), small=True), (tmp_path / "lines.txt").read_text()
    assert states(tmp_path) == dict.fromkeys(check_gpu.STAGES, "passed")
    assert (tmp_path / "figures" / "check_gpu-smoke" / f"{study.FIGURES[-1]}.png").is_file()
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.json")}
    assert check_gpu.check(tmp_path, 5, list(check_gpu.STAGES), small=True)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.json")} == before


def test_what_is_cut_off_is_left_for_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_gpu, "_GRACE", 0)
    assert check_gpu.check(tmp_path, 0.01, ["numerics"], small=True)  # within a second not even JAX is imported
    assert states(tmp_path) == {"numerics": "cut off"}
    assert "called again, it goes on" in (tmp_path / "lines.txt").read_text(encoding="utf-8")


def test_a_failure_fails_the_check_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_gpu, "_stage", lambda name, task, where: leave("failed"))

    def leave(state: outcomes.State) -> None:
        outcomes.write(tmp_path, "machine", Outcome(state, "told"), 1, check_gpu._where(True))

    assert not check_gpu.check(tmp_path, 1, ["machine"], small=True)
    monkeypatch.setattr(check_gpu, "_stage", lambda name, task, where: leave("passed"))
    assert check_gpu.check(tmp_path, 1, ["machine"], small=True)


def test_machines_are_not_mixed(tmp_path: Path) -> None:
    outcomes.write(tmp_path, "machine", Outcome("passed", "fine"), 1, {"device": "another card"})
    with pytest.raises(UserError, match=r"has the check of .*another card.* name another by CHECK_OUT=FOLDER"):
        check_gpu.check(tmp_path, 1, ["machine"], small=True)
    outcomes.write(tmp_path, "machine", Outcome("passed", "fine"), 1, check_gpu._where(True))
    with pytest.raises(UserError, match="'small': 'yes'"):  # tried before: the real check does not pass by that
        check_gpu.check(tmp_path, 1, ["machine"], small=False)


def test_an_error_is_wrong_beyond_rounding() -> None:
    right = np.ones(4)

    def wrong(device: float, cpu: float) -> bool:
        given = ({"x": right + device}, {"x": right + cpu}, {"x": right})
        return next(iter(numerics.compared(*given)))["wrong"]

    assert not wrong(1e-6, 1e-8)
    assert not wrong(1e-3, 1e-4)
    assert wrong(1e-3, 1e-5)
    assert wrong(np.nan, 1e-5)


def test_its_study_is_the_one_of_fashion_mnist_with_some_figures(tmp_path: Path) -> None:
    whole, made = load(study.WHOLE), load(study.write(tmp_path, range(3)))
    assert set(made.figures) == set(study.FIGURES)
    assert set(made.claims) == {name for name, claim in whole.claims.items() if claim.figure in study.FIGURES}
    assert all(experiment.seeds == (0, 1, 2) for experiment in made.experiments.values())
    assert made.setups["wrn"] == whole.setups["wrn"]
