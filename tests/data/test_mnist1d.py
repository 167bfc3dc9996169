"""MNIST-1D as its package makes it, and with a larger test set."""

from __future__ import annotations

import random

import numpy as np
import pytest
from mnist1d.data import get_dataset_args, make_dataset

from nmepkg.data import mnist1d
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


@pytest.mark.parametrize("test", [1, 20, 21, 333, 2000])
def test_a_test_set_of_another_size_changes_nothing_else(arrays: dict[str, np.ndarray], test: int) -> None:
    found = prepare(seed=42, samples=100, test=test)
    for name in ("train_x", "train_y"):
        assert found[name].tobytes() == arrays[name].tobytes()
    for name in ("test_x", "test_y"):
        assert len(found[name]) == test
        assert found[name].dtype == arrays[name].dtype
        np.testing.assert_array_equal(found[name][:20], arrays[name][:test])


def test_the_published_training_set_is_what_its_package_makes() -> None:
    """Against the package itself, not against what this project did before."""
    made = make_dataset(get_dataset_args())
    found = prepare(seed=42, samples=5000, test=1010)
    assert found["train_x"].tobytes() == made["x"].astype(np.float32).tobytes()
    assert found["train_y"].tolist() == made["y"].tolist()
    assert found["test_x"][:1000].tobytes() == made["x_test"].astype(np.float32).tobytes()


def test_more_test_examples_are_new_and_of_every_class(arrays: dict[str, np.ndarray]) -> None:
    found = prepare(seed=42, samples=100, test=2020)
    rows = np.concatenate([found["train_x"], found["test_x"]])
    assert len(np.unique(rows, axis=0)) == 80 + 2020
    np.testing.assert_array_equal(np.bincount(found["test_y"][20:]), np.full(10, 200))
    assert len(np.unique(found["test_y"][20:60])) > 5  # shuffled
    assert np.bincount(prepare(seed=42, samples=100, test=35)["test_y"][20:], minlength=10).max() <= 2


def test_more_test_examples_are_on_the_scale_of_the_package(arrays: dict[str, np.ndarray]) -> None:
    """However few they are: they aren't standardised by themselves."""
    raw, labels = mnist1d._raw(42, 100)
    scaled = ((raw - raw.mean()) / raw.std()).astype(np.float32)
    made = np.concatenate([arrays["train_x"], arrays["test_x"]])
    np.testing.assert_array_equal(np.sort(scaled, axis=0), np.sort(made, axis=0))
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 10))
    more, more_labels = mnist1d._raw(42 ^ 2**31, 10)
    expected = ((more - raw.mean()) / raw.std()).astype(np.float32)
    found = prepare(seed=42, samples=100, test=30)
    order = np.argsort(found["test_y"][20:])
    np.testing.assert_array_equal(found["test_x"][20:][order], expected)
    np.testing.assert_array_equal(found["test_y"][20:][order], more_labels)


def test_more_test_examples_are_told_apart_as_the_first_are() -> None:
    """A nearest neighbour among the training examples knows new test examples about as often as the package's."""
    found = prepare(seed=42, samples=1000, test=1200)
    distance = np.square(found["test_x"][:, None] - found["train_x"]).sum(axis=2)
    right = found["train_y"][distance.argmin(axis=1)] == found["test_y"]
    own, new = right[:200].mean(), right[200:].mean()
    assert own > 0.2
    assert abs(own - new) < 4 * np.sqrt(own * (1 - own) * (1 / 200 + 1 / 1000))


def test_the_seed_alone_decides_more_test_examples_too() -> None:
    digests = set()
    for state in (0, 1):
        np.random.seed(state)
        random.seed(state)
        digests.add(arrays_sha256(prepare(seed=7, samples=20, test=50)))
    assert len(digests) == 1
    assert arrays_sha256(prepare(seed=8, samples=20, test=50)) not in digests


def test_the_largest_seed_has_another_one_for_more_test_examples() -> None:
    assert len(prepare(seed=2**32 - 1, samples=10, test=20)["test_y"]) == 20
