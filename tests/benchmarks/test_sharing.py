"""benchmarks/sharing.py in this process: what it writes, and that one program computes what its runs are alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import pandas as pd
import pytest

from benchmarks import sharing


class Here:
    """A worker that is no process."""

    def __init__(self, kind: str, spec: Any) -> None:
        self._training = sharing.Training(spec)

    def ask(self, method: str, *arguments: Any) -> Any:
        return getattr(self._training, method)(*arguments)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    study = sharing.STUDY.replace("train: 5120", "train: 32").replace("batch_size: 128", "batch_size: 16")
    monkeypatch.setattr(sharing, "STUDY", study.replace("width: 128, depth: 3", "width: 4, depth: 1"))
    monkeypatch.setattr(sharing, "Worker", Here)


def test_a_row_each_and_a_second_call_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--networks", "MLP 3×128", "--counts", "1", "2", "--seconds", "0.01", "--mps", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["sharing", *options])
    file = tmp_path / "sharing.csv"
    with mock.patch.dict(os.environ, {"PATH": "", "NPROC": "2"}):
        sharing.main()
        first = pd.read_csv(file)
        file.write_text("".join(file.read_text(encoding="utf-8").splitlines(True)[:-1]), encoding="utf-8")
        sharing.main()
    again = pd.read_csv(file)
    assert list(first["how"]) == [sharing.PROCESSES] * 2 + [sharing.WITH_MPS] + [sharing.ONE_PROGRAM] * 2
    assert first["runs"].dropna().tolist() == [1, 2, 1, 2]
    assert first["error"].dropna().tolist() == ["nvidia-cuda-mps-control: not on this machine"]
    assert list(again["how"]) == [*first["how"][:4], sharing.WITH_MPS, sharing.ONE_PROGRAM], (
        "what failed is tried again"
    )
    assert again[:4].equals(first[:4])
    for rows in (first, again):
        per_second = rows["steps_per_second"].dropna()
        assert (per_second > 0).all()
        np.testing.assert_allclose(rows["to_one"].dropna(), per_second / per_second[0], rtol=1e-9)


def test_one_program_computes_what_its_runs_are_alone() -> None:
    training = sharing.Training(sharing.specs_of()["MLP 3×128"])
    training.compile(2)
    several = training.state
    training.compile(1)  # seed 0; both have taken an epoch
    same = zip(jax.tree.leaves(several.params), jax.tree.leaves(training.state.params), strict=True)
    for both, alone in same:
        np.testing.assert_allclose(both[0], alone, rtol=1e-4, atol=1e-6)
    assert not np.allclose(several.loss[0], several.loss[1]), "another seed"
