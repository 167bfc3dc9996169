"""MNIST-1D as its package makes it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nmepkg.data.mnist1d import prepare
from nmepkg.files import arrays_sha256


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return prepare(seed=42, samples=100)


def test_shapes_and_types(arrays: dict[str, np.ndarray]) -> None:
    described = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    assert described == {
        "train_x": ((80, 40), "float32"),
        "train_y": ((80,), "int32"),
        "test_x": ((20, 40), "float32"),
        "test_y": ((20,), "int32"),
    }


def test_ten_classes_of_equal_size(arrays: dict[str, np.ndarray]) -> None:
    labels = np.concatenate([arrays["train_y"], arrays["test_y"]])
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 10))


def test_standardised_as_a_whole(arrays: dict[str, np.ndarray]) -> None:
    values = np.concatenate([arrays["train_x"], arrays["test_x"]]).astype(np.float64)
    assert abs(values.mean()) < 1e-5
    assert abs(values.std() - 1) < 1e-4


def test_no_example_is_in_both_splits(arrays: dict[str, np.ndarray]) -> None:
    rows = np.concatenate([arrays["train_x"], arrays["test_x"]])
    assert len(np.unique(rows, axis=0)) == 100


def test_the_seed_alone_decides(arrays: dict[str, np.ndarray]) -> None:
    expected = arrays_sha256(arrays)
    for state in (0, 1):  # neither NumPy's global generator nor Python's
        np.random.seed(state)
        random.seed(state)
        assert arrays_sha256(prepare(seed=42, samples=100)) == expected
    assert arrays_sha256(prepare(seed=43, samples=100)) != expected
