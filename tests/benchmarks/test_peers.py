"""The comparison with other libraries, without them: turns, tables and pictures."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.peers import cases, errors, table
from benchmarks.peers.plot import plot
from benchmarks.peers.turns import Worker, rounds

DUMMY = "tests.benchmarks.dummies:Counter"
CASE = cases.Case("curvature", cases.SMALL, "H v", (cases.CURVLINOPS, cases.PYHESSIAN))


def test_one_runs_while_others_are_stopped() -> None:
    with Worker(DUMMY, 1000) as one, Worker(DUMMY, environment={"PEERS_DUMMY": "other"}) as other:
        before = other.ask("count")
        assert before < 1000 <= one.ask("count")
        time.sleep(0.3)
        assert other.ask("count") - before < 100  # it would have counted on
        assert one.ask("variable", "PEERS_DUMMY") is None
        assert other.ask("variable", "PEERS_DUMMY") == "other"


def test_a_failure_is_told_and_ends_nothing() -> None:
    with Worker(DUMMY) as worker:
        with pytest.raises(RuntimeError, match=r"^ValueError: as asked$"):
            worker.ask("fail")
        assert worker.ask("count") > 0
        with pytest.raises(RuntimeError, match="exit code 3"):
            worker.ask("leave")
    with pytest.raises(RuntimeError, match="ModuleNotFoundError"):
        Worker("tests.benchmarks.nothing:Counter")


def test_rounds_alternate_and_take_as_long_as_a_turn() -> None:
    calls: list[tuple[str, int]] = []

    def take(name: str, seconds: float) -> Any:
        def time_of(repetitions: int) -> float:
            calls.append((name, repetitions))
            return seconds

        return time_of

    found = rounds({"slow": take("slow", 0.2), "fast": take("fast", 0.01)}, most=4, budget=60)
    assert found == {"slow": [0.2] * 4, "fast": [0.01] * 4}
    assert calls[4:] == [("slow", 1), ("fast", 10)] * 4
    clock = count(1)
    short = rounds({"one": lambda repetitions: float(next(clock))}, most=9, budget=0, least=3)
    assert short == {"one": [3.0, 4.0, 5.0]}


def found() -> list[dict[str, Any]]:
    times = {cases.OURS: [1.0, 2.0, 30.0], cases.CURVLINOPS: [2.0, 8.0, 60.0]}
    constant = {"threads": 2, "cpu": "a processor", "python": "3", "date": "2026-01-01", "parameters": 612}
    versions = {cases.OURS: "with jax 1", cases.CURVLINOPS: "3", cases.PYHESSIAN: "0.1"}
    return table.rows(CASE, times, {cases.OURS: 1e-7}, {cases.PYHESSIAN: "no torch.eig"}, constant, versions)


def test_a_ratio_is_the_median_of_those_of_rounds() -> None:
    ours, curvlinops, pyhessian = found()
    assert (ours["seconds"], ours["ratio"], ours["error"]) == (2.0, 1.0, 1e-7)
    assert (curvlinops["ratio_q1"], curvlinops["ratio"], curvlinops["ratio_q3"]) == (0.375, 0.5, 0.5)
    assert pyhessian["failure"] == "no torch.eig"
    assert np.isnan(pyhessian["seconds"])
    text = table.lines([ours, curvlinops, pyhessian])
    assert "0.50  (0.38 – 0.50)" in text[1]
    assert text[2].endswith("failed: no torch.eig")


def test_the_table_is_kept_and_drawn(tmp_path: Path) -> None:
    table.save(found(), tmp_path / "peers.csv")
    again = table.load(tmp_path / "peers.csv")
    assert list(again.columns) == table.COLUMNS
    assert again["ratio"].tolist()[:2] == [1.0, 0.5]
    assert again["failure"].tolist() == ["", "", "no torch.eig"]
    plot(again, tmp_path / "peers.png")
    with Image.open(tmp_path / "peers.png") as image:
        assert len(image.convert("L").getcolors()) > 10


def test_errors() -> None:
    assert errors.of_products(np.array([[3.0, 4.5]]), np.array([[3.0, 4.0]])) == pytest.approx(0.1)
    hessian = np.diag([-1.0, 1.0, 4.0])
    assert errors.of_task("trace of H", lambda draw: 4.0 + 2 * (-1) ** draw, hessian, 2) == pytest.approx(0.5)
    assert errors.of_task("top eigenvalue", lambda draw: 3.0, hessian, 1) == pytest.approx(0.25)
    exact = (np.array([-1.0, 1.0, 4.0]), np.ones(3) / 3)
    assert errors.of_task("density", lambda draw: exact, hessian, 1) == pytest.approx(0, abs=1e-12)


def test_cases_are_chosen_by_pattern() -> None:
    assert len(cases.chosen("")) == len(cases.CASES) == len({case.name for case in cases.CASES})
    assert {case.network for case in cases.chosen("TRAINING/cnn")} == {"CNN, GELU", "CNN, ReLU"}
    with pytest.raises(ValueError, match="no case is called nothing"):
        cases.chosen("nothing")
