"""What a training draws examples from: a whole set on the device, or batches that arrive all along.

Either gives the loop what each step takes, and the batches of an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import jax
import numpy as np
from jax import Array

from nmepkg.data.store import Dataset
from nmepkg.specs import Recipe, Training
from nmepkg.training.devices import Layout

_EVALUATION_BATCH = 1000  # at most: bounds the memory of an evaluation
Batch = tuple[Any, Any]


class Feed(Protocol):
    """Examples for a training and its evaluations.

    Attributes:
      sizes: (3,) examples of the training, validation and test set that evaluations take.
    """

    sizes: np.ndarray

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        """What each of the steps after ``start``, up to ``stop``, takes, on the device; all of one epoch."""
        ...

    def evaluation(self) -> Iterator[tuple[Batch, Array]]:
        """Batches of one size over the three sets, each with members (B, 3): which example is of which set."""
        ...

    def throttle(self, state: Any) -> None:
        """Called after each step with the state to come; may wait, lest the host run far ahead of the device."""
        ...


class Resident:
    """A data set that lies on the device, once, as bytes if it is images."""

    def __init__(self, dataset: Dataset, recipe: Recipe, layout: Layout) -> None:
        sets = (dataset.train, dataset.validation, dataset.test)
        # Behind the training examples, which a step takes by their place, come the others.
        self._data = layout.replicate(tuple(np.concatenate([part[i] for part in sets]) for i in (0, 1)))
        trained = evaluated(recipe, len(dataset.train[1]))
        self.sizes = np.asarray([len(trained), *dataset.sizes[1:]])
        places = np.concatenate([trained, np.arange(dataset.sizes[0], sum(dataset.sizes))])
        size = evaluation_batch(recipe.training, len(places), layout)
        self._chunks = layout.replicate(list(chunks(places, self.sizes, size)))
        self._layout = layout

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        return (self._data for _ in range(start, stop))

    def evaluation(self) -> Iterator[tuple[Batch, Array]]:
        return ((_take(self._layout, self._data, places), members) for places, members in self._chunks)

    def throttle(self, state: Any) -> None:
        pass


@partial(jax.jit, static_argnums=0)
def _take(layout: Layout, data: Batch, places: Array) -> Batch:
    """Some examples, by place, shared out among the devices."""
    return jax.tree.map(lambda x: layout.shared(x[places]), data)


def evaluated(recipe: Recipe, examples: int) -> np.ndarray:
    """The training examples that evaluations take, by place: all, or ``training.evaluate_train`` that every run has alike."""
    count = recipe.training.evaluate_train
    if count is None or count >= examples:
        return np.arange(examples)
    drawn = np.random.default_rng([recipe.validation.seed, 2]).permutation(examples)[:count]
    return np.sort(drawn)


def evaluation_batch(training: Training, examples: int, layout: Layout) -> int:
    """Examples that are evaluated at once: as much memory as a few batches of training, and a multiple of the devices."""
    size = min(_EVALUATION_BATCH, examples, 8 * training.batch_size // training.accumulate)
    return -(-size // layout.devices) * layout.devices


def chunks(places: np.ndarray, sizes: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(places (size,), members (size, 3)) of the examples of three sets, one set after another.

    The last ones repeat the first place, as members of none.
    """
    members = np.repeat(np.eye(len(sizes), dtype=bool), sizes, axis=0)
    padding = -len(places) % size
    padded = np.concatenate([places, np.full(padding, places[0])]).reshape(-1, size)
    return zip(padded, np.pad(members, [(0, padding), (0, 0)]).reshape(-1, size, len(sizes)), strict=True)
