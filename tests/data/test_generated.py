"""Images without a download."""

from __future__ import annotations

import numpy as np

from nmepkg.data.generated import prepare


def test_shapes_types_and_classes() -> None:
    made = prepare([6, 7, 3], 4, 10, 8, seed=0)
    assert {name: (x.shape, x.dtype) for name, x in made.items()} == {
        "train_x": ((10, 6, 7, 3), np.uint8),
        "train_y": ((10,), np.int32),
        "test_x": ((8, 6, 7, 3), np.uint8),
        "test_y": ((8,), np.int32),
    }
    assert sorted(np.bincount(made["train_y"]).tolist()) == [2, 2, 3, 3]
    assert np.bincount(made["test_y"]).tolist() == [2, 2, 2, 2]


def test_the_seed_makes_them() -> None:
    first, same, other = (prepare([4, 4, 1], 2, 6, 2, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["train_x"], other["train_x"])


def test_there_is_something_to_learn() -> None:
    """The nearest mean of a class is the class."""
    made = prepare([4, 4, 1], 3, 60, 30, seed=0)
    means = np.stack([made["train_x"][made["train_y"] == c].mean(axis=0) for c in range(3)])
    distances = np.square(made["test_x"][:, None] - means).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(distances.argmin(axis=1), made["test_y"])
