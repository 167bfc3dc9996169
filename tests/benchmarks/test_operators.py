"""The comparison of operators with other libraries, without them: errors, memory, and what is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers import cases
from benchmarks.peers.memory import peak
from benchmarks.peers.operators import errors, tasks

MATRIX = np.diag([-9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def error(task, value, library=cases.OURS, network=cases.SMALL, exact=MATRIX):
    def asked(what, *arguments):
        return arguments[0] @ MATRIX if what == "products" else exact

    return errors.of(network, library, task, lambda draw: value, asked)


def test_eigenpairs_are_judged_by_residuals_and_by_values() -> None:
    top = np.array([6.0, 5.0, 4.0, 3.0, 2.0]), np.eye(7)[:1:-1]
    assert error(tasks.EIGENPAIRS, top) == 0
    assert error(tasks.EIGENPAIRS, (top[0] + [0.6, 0, 0, 0, 0], top[1])) == pytest.approx(0.6 / 6.6)
    others = top[0] - 1, np.eye(7)[5:0:-1]  # pairs they are, and the largest is missing
    assert error(tasks.EIGENPAIRS, others) == pytest.approx(1 / 5)
    assert error(tasks.EIGENPAIRS, others, network="MLP 3×128") == 0
    largest = np.array([-9.0, 6.0, 5.0, 4.0, 3.0]), np.eye(7)[[0, 6, 5, 4, 3]]
    assert error(tasks.EIGENPAIRS, largest, cases.PYHESSIAN) == 0
    assert error(tasks.EIGENPAIRS, largest) == pytest.approx(11 / 9)


def test_what_is_random_has_an_error_where_there_is_a_dense_matrix() -> None:
    diagonal = np.diag(MATRIX)
    assert error(tasks.DIAGONAL, 1.1 * diagonal) == pytest.approx(0.1)
    assert error(tasks.XTRACE, 1.5 * diagonal.sum()) == pytest.approx(0.5)
    assert error(tasks.DENSITY, (diagonal, np.ones(7))) == pytest.approx(0)
    assert error(tasks.XTRACE, 0.0, network="MLP 3×128") is None
    assert error(tasks.PLANE, (0, 0, np.full(3, 2.2)), exact=np.full(3, 2.0)) == pytest.approx(0.1)


def test_memory_is_the_peak_above_what_there_was() -> None:
    kept = np.ones(3_000_000)
    found = peak(lambda: np.ones(8_000_000).sum())
    assert 60e6 < found < 90e6
    assert kept.sum() == 3_000_000


def test_tasks_are_chosen_by_how_they_begin() -> None:
    assert len(tasks.chosen("")) == 2 * len(tasks.TASKS)
    assert {task for _, task in tasks.chosen("MLP 2×16/trace")} == set(tasks.TRACES)
    with pytest.raises(ValueError, match="nothing begins with CNN"):
        tasks.chosen("CNN")
