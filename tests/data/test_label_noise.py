"""Labels that are replaced: how many, by what, and which ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmepkg.data import store
from nmepkg.data.label_noise import with_noise
from nmepkg.errors import UserError
from nmepkg.specs import LabelNoise, recipe
from tests.training.runs import dataset, make_spec, prepared

LABELS = np.random.default_rng(0).integers(0, 10, 9000).astype(np.int32)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.2501, 1.0])
def test_so_many_labels_are_wrong(fraction: float) -> None:
    noisy = with_noise(LABELS, LabelNoise(fraction, 3), 10)
    assert np.sum(noisy != LABELS) == round(fraction * len(LABELS))
    assert (noisy.dtype, noisy.shape) == (LABELS.dtype, LABELS.shape)
    assert set(np.unique(noisy)) == set(range(10))


def test_every_other_class_is_as_likely() -> None:
    """Of 9,000 wrong labels, 100 are expected of each true class and each other one: within 5 standard deviations of 10."""
    noisy = with_noise(LABELS, LabelNoise(1.0, 0), 10)
    pairs = np.zeros((10, 10))
    np.add.at(pairs, (LABELS, noisy), 1)
    np.testing.assert_array_equal(np.diag(pairs), 0)
    expected = pairs.sum(axis=1, keepdims=True) / 9
    assert np.abs((pairs - expected) / np.sqrt(expected))[~np.eye(10, dtype=bool)].max() < 5


def test_more_noise_has_that_of_less_and_its_seed_draws_it() -> None:
    little, much, other = (with_noise(LABELS, LabelNoise(*noise), 10) for noise in ((0.1, 0), (0.4, 0), (0.1, 1)))
    wrong = little != LABELS
    np.testing.assert_array_equal(much[wrong], little[wrong])
    assert not np.array_equal(wrong, other != LABELS)
    np.random.seed(1)
    np.testing.assert_array_equal(with_noise(LABELS, LabelNoise(0.1, 0), 10), little)


def test_one_class_has_no_wrong_labels() -> None:
    with pytest.raises(UserError, match="of labels of one class cannot be wrong; set it to 0"):
        with_noise(np.zeros(4, int), LabelNoise(0.5, 0), 1)


def test_validation_and_test_labels_are_true_and_a_runs_seed_changes_nothing(tmp_path: Path) -> None:
    path = prepared(tmp_path)
    noise = {"fraction": 0.3, "seed": 0}
    clean, noisy, same = (
        store.read(path, recipe(make_spec(**changes)))
        for changes in ({}, {"label_noise": noise}, {"label_noise": noise, "seed": 5})
    )
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(noisy, part)[1], getattr(clean, part)[1])
    np.testing.assert_array_equal(noisy.train[0], clean.train[0])
    np.testing.assert_array_equal(noisy.train[1], same.train[1])
    kept = len(dataset().train[1]) - round(0.2 * len(dataset().train[1]))
    assert (len(clean.train[1]), np.sum(noisy.train[1] != clean.train[1])) == (kept, round(0.3 * kept))
