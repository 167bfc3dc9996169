"""A feed of batches that arrive all along, from a stream of images in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.data.splits import Split
from nmepkg.data.streamed import SCALING, StreamedDataset
from nmepkg.models.mlp import MLP
from nmepkg.specs import recipe
from nmepkg.training import devices, loop
from nmepkg.training.streaming import Streamed
from tests.training.runs import CLASSES, make_spec

SIZE = 4


class Memory(NamedTuple):
    """A stream of images that are there; what it was asked for is kept."""

    images: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    opened: list[tuple[int, int]]
    size: int = SIZE

    def batches(
        self, indices: Any, batch_size: int, seed: int, start: int, stop: int, view: Any, workers: int, process: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.opened.append((start, stop))
        assert (view, process) == (None, (0, 1))
        for step in range(start, stop):
            epoch, place = divmod(step, len(indices) // batch_size)
            chosen = np.random.default_rng([seed, epoch]).permutation(indices)[place * batch_size :][:batch_size]
            yield self.images["train"][chosen], self.labels["train"][chosen]

    def evaluation(
        self, split: str, indices: np.ndarray, batch_size: int, workers: int, process: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(indices), batch_size):
            chosen = indices[start : start + batch_size]
            yield self.images[split][chosen], self.labels[split][chosen]

    def take(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.images[split][indices], self.labels[split][indices]


def dataset() -> StreamedDataset:
    """27 examples to train on, 5 to validate, 9 to test."""
    rng = np.random.default_rng(0)
    sizes = {"train": 32, "test": 9}
    images = {part: rng.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8) for part, n in sizes.items()}
    labels = {part: rng.integers(0, CLASSES, n).astype(np.int32) for part, n in sizes.items()}
    split = Split(np.delete(np.arange(32), [3, 9, 10, 20, 31]), np.array([3, 9, 10, 20, 31]), np.arange(9))
    return StreamedDataset(Memory(images, labels, []), split, CLASSES, "0" * 64, SCALING)  # type: ignore[arg-type]


def spec(**training: Any) -> dict[str, Any]:
    data = {"name": "imagenet2012", "size": SIZE, "resize": SIZE}
    return make_spec(data=data, training={"epochs": 3, "batch_size": 8, **training})


def train(data: StreamedDataset, spec: dict[str, Any], **arguments: Any) -> loop.Outcome:
    return loop.train(recipe(spec), data, lambda epoch, row: None, lambda step, state: None, **arguments)


def test_evaluations_see_each_example_once() -> None:
    """Against the model on all examples of a set at once; 10 of the training examples are evaluated on."""
    data = dataset()
    outcome = train(data, spec(evaluate_train=10))
    model = MLP(CLASSES, activations.gelu, 4, 1, True)
    variables = {"params": outcome.state.params, "batch_stats": outcome.state.batch_stats}
    feed = Streamed(data, recipe(spec(evaluate_train=10)), devices.ONE)
    assert feed.sizes.tolist() == [10, 5, 9]
    for name in ("validation", "test"):
        x, y = data.take(name, np.arange(data.sizes[("train", "validation", "test").index(name)]))
        hits = np.asarray(model.apply(variables, x, train=False)).argmax(axis=1) == y
        assert outcome.history[-1][f"{name}_accuracy"] == pytest.approx(hits.mean())
    assert outcome.history[-1]["train_accuracy"] * 10 == pytest.approx(
        round(outcome.history[-1]["train_accuracy"] * 10)
    )


def test_batches_of_an_evaluation_are_of_one_size_and_say_what_is_of_which_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmepkg.training.feed._EVALUATION_BATCH", 6)
    data = dataset()
    seen: list[list[int]] = [[], [], []]
    for (x, y), members in Streamed(data, recipe(spec()), devices.ONE).evaluation():
        assert (x.shape, y.shape, members.shape) == ((6, SIZE, SIZE, 3), (6,), (6, 3))
        assert members.sum(axis=1).max() == 1
        for number in range(3):
            seen[number] += [int(np.asarray(image).astype(np.int64).sum()) for image in x[members[:, number]]]
    for number, name in enumerate(("train", "validation", "test")):
        part, places = data.source_of(name)
        assert seen[number] == [int(image.astype(np.int64).sum()) for image in data.stream.images[part][places]]  # type: ignore[attr-defined]


class StopError(Exception):
    pass


@pytest.mark.parametrize("stop", [2, 3, 5])  # in the first epoch, at its end, in the second
def test_a_training_goes_on_in_the_middle_of_an_epoch(stop: int) -> None:
    """To the same bits; and the stream is opened just where the training begins."""
    whole = dataset()
    expected = train(whole, spec())
    assert whole.stream.opened == [(0, 9)]  # type: ignore[attr-defined]
    calls = itertools.count(1)
    kept: list[loop.Position] = []

    def between(position: loop.Position, done: bool) -> None:
        if next(calls) == stop:
            kept.append(loop.Position(jax.device_get(position.state._replace(key=0)), list(position.history)))
            raise StopError

    with pytest.raises(StopError):
        train(dataset(), spec(), checkpoint=between)
    (position,) = kept
    position = position._replace(state=position.state._replace(key=expected.state.key))
    later = dataset()
    outcome = train(later, spec(), resume=lambda shapes: position)
    assert later.stream.opened == [(stop, 9)]  # type: ignore[attr-defined]
    assert outcome.history == expected.history
    jax.tree.map(np.testing.assert_array_equal, outcome.state.params, expected.state.params)


def test_the_host_stays_near_the_device() -> None:
    """Of ten steps, no more than two are still awaited; each wait is for the one two before."""
    feed = Streamed(dataset(), recipe(spec()), devices.ONE)
    state = loop.State(*[np.float32(0)] * 7)
    for number in range(10):
        feed.throttle(state._replace(loss=jax.numpy.float32(number)))
    assert [float(loss) for loss in feed._pending] == [8, 9]
