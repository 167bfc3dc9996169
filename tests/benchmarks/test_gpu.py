"""benchmarks/gpu.py on a CPU, in small: rows as they are measured, what dies costs one, and a second call goes on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import gpu


def call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    options = ["--networks", "MLP 3×128", "--side", "64", "--seconds", "0.01", "--out", str(folder)]
    monkeypatch.setattr(sys, "argv", ["gpu", *options])
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)  # PyTorch's are tests/peers'
    monkeypatch.setattr(gpu, "TASKS", {"SGD": "sgd", "SAM": "sam"})
    gpu.main()
    return pd.read_csv(folder / "gpu.csv")


def test_it_measures_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = call(tmp_path, monkeypatch)
    assert list(first["task"]) == ["64", "SGD", "SAM", "SGD", "SAM"]
    assert list(first["library"]) == [gpu.cases.OURS] * 3 + [gpu.COUNT] * 2
    assert (first["milliseconds"][:3] > 0).all()
    assert (first["tflop"][[0, 3, 4]] > 0).all()
    assert first["error"].isna().all()
    first[first["task"] != "SAM"].to_csv(tmp_path / "gpu.csv", index=False)
    again = call(tmp_path, monkeypatch)
    assert sorted(again["task"]) == sorted(first["task"])
    assert (again["milliseconds"][:2] == first["milliseconds"][:2]).all()


def test_what_fails_costs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(gpu.rows("MLP 3×128", ["unknown", "SGD"], gpu.cases.OURS, 0.01, time.monotonic() + 300))
    assert [row["task"] for row in found] == ["unknown", "SGD"]
    assert "unknown" in found[0]["error"]
    assert found[1]["milliseconds"] > 0
