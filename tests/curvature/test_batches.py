"""What an operator takes for a batch, a list or a loader, and which loaders it refuses."""

from __future__ import annotations

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.curvature import batches

BATCHES = [(np.ones((4, 3)), np.zeros(4, int)), (np.full((2, 3), 2.0), np.zeros(2, int))]


class Loader:
    """One that gives something else at each pass, in turn."""

    def __init__(self, *passes):
        self.passes, self.begun = passes, -1

    def __iter__(self):
        self.begun += 1
        return iter(self.passes[min(self.begun, len(self.passes) - 1)])


@pytest.mark.parametrize("data", [BATCHES, Loader(BATCHES)], ids=["list", "loader"])
def test_a_share_is_that_of_the_examples(data):
    found = batches.read(data)
    assert found.shares == (4 / 6, 2 / 6)
    again = [[(jax.tree.map(np.shape, batch), share) for batch, share in found.batches()] for _ in range(2)]
    assert again[0] == again[1] == [(((4, 3), (4,)), 4 / 6), (((2, 3), (2,)), 2 / 6)]


@pytest.mark.parametrize(
    "batch",
    [
        BATCHES[0],
        {"x": np.ones((4, 2)), "scale": 3.0, "key": jax.random.key(0)},
        np.ones((4, 2)),
        (np.ones((4, 1)), None),
    ],
    ids=["tuple", "dict", "array", "none"],
)
def test_one_batch_is_any_pytree_of_arrays(batch):
    found = batches.read(batch)
    assert found.shares == (1.0,)
    assert found.held
    assert jax.tree.structure(next(found.batches())[0]) == jax.tree.structure(batch)


def test_a_weight_of_ones_own_and_a_batch_without_any():
    found = batches.read(BATCHES, weight=lambda batch: float(batch[0].max() - 1))
    assert found.shares == (0.0, 1.0)
    assert [share for _, share in found.batches()] == [1.0]


X, Y = BATCHES[0]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (BATCHES[:1], "gave 2 batches and at a later pass 1"),
        ([*BATCHES, BATCHES[0]], "gave 2 batches and at a later pass 3"),
        (BATCHES[::-1], "batch 0 of the loader"),
        ([BATCHES[0], (BATCHES[1][0] + 1e-9, BATCHES[1][1])], "batch 1 of the loader"),
        ([(X.reshape(4, 3, 1), Y), BATCHES[1]], "batch 0 of the loader"),
        ([(X.astype(np.float32), Y), BATCHES[1]], "batch 0 of the loader"),
        ([[X, Y], BATCHES[1]], "batch 0 of the loader"),
    ],
    ids=["fewer", "more", "order", "numbers", "shapes", "types", "structure"],
)
def test_a_loader_that_is_not_the_same_twice_is_refused(second, message):
    with pytest.raises(ValueError, match=message):
        batches.read(Loader(BATCHES, second))


def test_a_loader_that_changes_its_length_later_is_refused():
    for last in (BATCHES[:1], [*BATCHES, BATCHES[0]]):
        found = batches.read(Loader(BATCHES, BATCHES, last))
        with pytest.raises(ValueError, match=f"gave 2 batches and at a later pass {len(last)}"):
            list(found.batches())


def test_keys_are_told_apart():
    one, two = ([{"x": np.ones((2, 1)), "key": jax.random.key(seed)}] for seed in (1, 2))
    batches.read(Loader(one, one))
    with pytest.raises(ValueError, match="batch 0 of the loader"):
        batches.read(Loader(one, two))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (iter(BATCHES), TypeError, "can be read once only"),
        ((batch for batch in BATCHES), TypeError, "a generator can be read once only"),
        ([], ValueError, "the list has no batch"),
        (Loader([]), ValueError, "the loader has no batch"),
        ((np.ones((4, 3)), np.ones(5)), ValueError, r"lengths \[4, 5\]: give weight="),
        ({"x": 1.0}, ValueError, "no axis: give weight="),
    ],
    ids=["iterator", "generator", "no batch", "empty loader", "lengths", "no axis"],
)
def test_what_is_no_data_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        batches.read(data)


@pytest.mark.parametrize("weights", [(-1.0, 2.0), (0.0, 0.0), (np.nan, 1.0), (np.inf, 1.0)])
def test_weights_that_make_no_mean_are_refused(weights):
    given = iter(weights)
    with pytest.raises(ValueError, match="the weights of batches"):
        batches.read(BATCHES, weight=lambda batch: next(given))


def test_a_loader_is_not_held():
    """Of each batch that it made, one at a time is in memory."""
    alive: list[weakref.ref] = []
    most = 0

    class Making:
        def __iter__(self):
            nonlocal most
            for seed in range(10):
                gc.collect()
                most = max(most, sum(ref() is not None for ref in alive))
                batch = np.full((4, 3), float(seed))
                alive.append(weakref.ref(batch))
                yield batch
                del batch

    for batch, _ in batches.read(Making()).batches():
        assert jnp.shape(batch) == (4, 3)
    assert most <= 2
