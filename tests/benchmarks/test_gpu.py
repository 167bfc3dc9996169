"""benchmarks/gpu on a CPU, in small: rows as they are measured, what dies costs one, and a second call goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import cases


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "find_spec", lambda name: None)  # PyTorch's are tests/peers'
    monkeypatch.setattr(cases, "TASKS", {"SGD": "sgd", "SAM": "sam"})
    monkeypatch.setattr(cases, "CURVATURE", ("H v",))


def call(file: Path) -> pd.DataFrame:
    list(gpu.measure(file, time.monotonic() + 300, networks=["MLP 3×128"], side="64", seconds=0.01))
    return pd.read_csv(file)


def test_it_measures_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "gpu.csv"
    first = call(file)
    assert list(first["task"]) == ["64", "SGD", "SAM", "H v", "SGD", "SAM"]
    assert list(first["library"]) == [cases.OURS] * 4 + [cases.COUNT] * 2
    assert (first["milliseconds"][:4] > 0).all()
    assert (first["tflop"][[0, 4, 5]] > 0).all()
    assert first["error"].isna().all()
    first[first["task"] != "SAM"].to_csv(file, index=False)
    again = call(file)
    assert sorted(again["task"]) == sorted(first["task"])
    assert (again["milliseconds"][:2] == first["milliseconds"][:2]).all()


def test_what_fails_costs_one_row() -> None:
    found = list(gpu._rows("MLP 3×128", ["unknown", "SGD"], cases.OURS, "float32", 0.01, time.monotonic() + 300))
    assert [row["task"] for row in found] == ["unknown", "SGD"]
    assert "unknown" in found[0]["error"]
    assert found[1]["milliseconds"] > 0
