"""Which examples of a data set a setup trains on, validates on and tests on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nmepkg.errors import UserError
from nmepkg.specs import Subset, Validation


class Split(NamedTuple):
    """Examples by their place in the data set, in ascending order; validation examples come from its training set."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


SETS = Split._fields


def split(validation: Validation, subset: Subset, train: int, test: int) -> Split:
    """The split of a setup, the same for every run of it.

    ``validation.fraction`` of the training examples, drawn with ``validation.seed``, are held out; of the rest, and of the test
    set, ``subset`` keeps so many, drawn with the same seed.

    Args:
      validation, subset: of the setup.
      train, test: examples of the data set.

    Raises:
      UserError: there are not so many examples, or none to train on.
    """
    held_out = round(validation.fraction * train)
    order = np.random.default_rng(validation.seed).permutation(train)
    kept = _first("train", order[held_out:], subset.train)
    if not len(kept):
        raise UserError(f"validation.fraction: {validation.fraction} leaves none of {train} examples to train on")
    tested = np.arange(test)
    if subset.test is not None:
        tested = _first("test", np.random.default_rng([validation.seed, 1]).permutation(test), subset.test)
    return Split(*(np.sort(part) for part in (kept, order[:held_out], tested)))


def _first(name: str, examples: np.ndarray, count: int | None) -> np.ndarray:
    if count is not None and count > len(examples):
        raise UserError(f"subset.{name}: {count} is more than the {len(examples)} examples that there are")
    return examples[:count]
