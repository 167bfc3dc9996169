"""Which examples are trained on, held out and tested on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmepkg.data.splits import split
from nmepkg.errors import UserError
from nmepkg.specs import Subset, Validation


def spec(
    fraction: float = 0.1, seed: int = 0, train: int | None = None, test: int | None = None
) -> tuple[Validation, Subset]:
    return Validation(fraction, seed), Subset(train, test)


def test_a_subset_is_a_part_of_the_whole() -> None:
    """With the same validation examples: results with more examples are compared on the same ones."""
    whole, part = split(*spec(), 200, 50), split(*spec(train=30, test=20), 200, 50)
    np.testing.assert_array_equal(part.validation, whole.validation)
    assert [len(x) for x in whole] == [180, 20, 50]
    assert [len(x) for x in part] == [30, 20, 20]
    assert set(part.train) <= set(whole.train)
    assert all(np.all(np.diff(x) > 0) for x in part)
    assert not set(whole.train) & set(whole.validation)


def test_subsets_grow_into_one_another() -> None:
    small, large = (split(*spec(train=n), 200, 50).train for n in (30, 60))
    assert set(small) < set(large)


def test_the_seed_draws_them() -> None:
    first, same, other = (split(*spec(seed=s, train=30, test=20), 200, 50) for s in (0, 0, 1))
    for a, b, c in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": 181}, "subset.train: 181 is more than the 180 examples that there are"),
        ({"test": 51}, "subset.test: 51 is more than the 50 examples that there are"),
        ({"fraction": 0.999}, "validation.fraction: 0.999 leaves none of 200 examples to train on"),
    ],
)
def test_more_than_there_is(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        split(*spec(**changes), 200, 50)
    assert str(caught.value) == message
