"""Data for trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.data import store
from tests.training.runs import dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data, prepared: 27 training and 9 test examples."""
    path = tmp_path_factory.mktemp("data") / "toy.npz"
    toy = dataset()
    arrays = {"train_x": toy.train[0], "train_y": toy.train[1], "test_x": toy.test[0], "test_y": toy.test[1]}
    store.write(path, arrays, {"name": "toy"}, code="da7a")
    return path
