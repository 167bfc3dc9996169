"""A feed of examples that arrive while a training goes on: read, decoded and varied by other processes, a few batches ahead."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmepkg import surroundings
from nmepkg.data.splits import SETS
from nmepkg.data.streamed import StreamedDataset
from nmepkg.registry import AUGMENTATIONS
from nmepkg.specs import Recipe
from nmepkg.training.devices import Layout
from nmepkg.training.feed import Batch, evaluated, evaluation_batch

_AHEAD = (
    2  # steps that the host may have dispatched and the device not done: what waits for them is batches in its memory
)


class Streamed:
    """Batches of a data set that is too large for the device; see :class:`nmepkg.training.feed.Feed`."""

    def __init__(self, dataset: StreamedDataset, recipe: Recipe, layout: Layout) -> None:
        self._dataset, self._recipe, self._layout = dataset, recipe, layout
        self._places = {name: np.arange(size) for name, size in zip(SETS, dataset.sizes, strict=True)}
        self._places["train"] = evaluated(recipe, dataset.sizes[0])
        self.sizes = np.asarray([len(self._places[name]) for name in SETS])
        self._size = evaluation_batch(recipe.training, int(self.sizes.sum()), layout)
        self._process = (jax.process_index(), jax.process_count())
        cores = surroundings.threads()
        self._workers = cores if cores > 1 else 0  # processes that read; with one core, threads of this one have to do
        self._batches: Iterator[Batch] = iter(())
        self._at = -1
        self._pending: deque[Any] = deque()

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        if start != self._at:
            self._batches = self._open(start)
        self._at = stop
        return map(self._layout.share, itertools.islice(self._batches, stop - start))

    def _open(self, start: int) -> Iterator[Batch]:
        """Batches from a step on to the end of the training, through all epochs, so that nobody waits where one begins."""
        chosen, size = self._recipe.augmentation, self._dataset.stream.size
        view = (
            None if chosen.name == "none" else partial(AUGMENTATIONS[chosen.name].load(), size=size, **chosen.options)
        )
        training, examples = self._recipe.training, self._dataset.split.train
        last = training.epochs * (len(examples) // training.batch_size)
        return self._dataset.stream.batches(
            examples, training.batch_size, self._recipe.seed, start, last, view, self._workers, self._process
        )

    def evaluation(self) -> Iterator[tuple[Batch, Any]]:
        index, count = self._process
        local = self._size // count
        for number, name in enumerate(SETS):
            part, indices = self._dataset.source_of(name)
            places = indices[self._places[name]]
            batches = self._dataset.stream.evaluation(part, places, self._size, self._workers, self._process)
            for batch, first in zip(batches, range(0, len(places), self._size), strict=True):
                members = np.zeros((local, len(SETS)), bool)
                members[:, number] = index * local + np.arange(local) < len(places) - first
                yield self._layout.share((tuple(_padded(x, local) for x in batch), members))

    def throttle(self, state: Any) -> None:
        self._pending.append(jnp.copy(state.loss))  # its own buffer goes to the next step
        if len(self._pending) > _AHEAD:
            jax.block_until_ready(self._pending.popleft())


def _padded(x: np.ndarray, size: int) -> np.ndarray:
    return np.pad(x, [(0, size - len(x))] + [(0, 0)] * (x.ndim - 1))
