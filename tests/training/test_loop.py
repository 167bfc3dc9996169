"""The loop: order of batches, evaluation, divergence."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.data.store import Dataset
from nmepkg.errors import UserError
from nmepkg.models.mlp import MLP
from nmepkg.specs import recipe
from nmepkg.training import feed, loop
from nmepkg.training.optimizer import hyperparameters
from nmepkg.training.step import make_program
from tests.training.runs import CLASSES, dataset, make_spec, quick_jit, start


def no_snapshot(step: int, state: loop.State) -> None:
    pass


def silent(epoch: int, row: dict[str, Any] | None) -> None:
    pass


def unit_vectors(count: int) -> Dataset:
    """Example i is the i-th unit vector, so that a linear model's row i changes exactly when example i is visited."""
    part = (np.eye(count, dtype=np.float32), np.arange(count, dtype=np.int32) % CLASSES)
    return Dataset(part, (part[0][:0], part[1][:0]), part, CLASSES, "")


def visits(seed: int) -> list[list[list[int]]]:
    """The examples that each of three batches of each of two epochs visits, of 11 examples in batches of 3."""
    data = unit_vectors(11)
    spec = make_spec(
        model={"depth": 0},
        optimizer={"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "warmup_epochs": 0.0},
        training={"epochs": 3, "batch_size": 3},
        seed=seed,
    )
    program, state, hyper = start(spec, data)
    step, epochs = quick_jit(program.step), []
    for _ in range(2):
        epochs.append([])
        for _ in range(3):
            before = np.asarray(state.params["Dense_0"]["kernel"])
            state = step(state, hyper, data.train)
            changed = np.any(np.asarray(state.params["Dense_0"]["kernel"]) != before, axis=1)
            epochs[-1].append(np.flatnonzero(changed).tolist())
        state = program.begin_epoch(state)
    return epochs


def test_an_epoch_visits_each_example_at_most_once_in_full_batches() -> None:
    first, second = visits(0)
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [3, 3, 3]
        assert len(set(np.concatenate(epoch).tolist())) == 9
    assert first != second
    assert visits(1)[0] != first
    assert visits(0) == [first, second]


def test_one_state_of_the_loop_is_that_of_single_steps() -> None:
    """`train` begins each epoch, takes every step of it, and keeps the order of the seed."""
    spec = make_spec(model={"depth": 0}, training={"epochs": 2})
    outcome = loop.train(recipe(spec), dataset(), silent, no_snapshot)
    program, state, hyper = start(spec, dataset())
    step = quick_jit(program.step)
    for epoch in range(2):
        state = program.begin_epoch(state) if epoch else state
        for _ in range(3):
            state = step(state, hyper, dataset().train)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), outcome.state.params, state.params
    )
    assert int(outcome.state.step) == 6


@pytest.mark.parametrize(("epochs", "every", "evaluated"), [(5, 2, [0, 2, 4, 5]), (2, 9, [0, 2])])
def test_evaluations_come_first_last_and_in_between(epochs: int, every: int, evaluated: list[int]) -> None:
    reports = []
    spec = make_spec(model={"depth": 0}, training={"epochs": epochs, "evaluate_every": every})
    outcome = loop.train(recipe(spec), dataset(), lambda epoch, row: reports.append((epoch, row)), no_snapshot)
    assert [(row["epoch"], row["step"]) for row in outcome.history] == [(epoch, 3 * epoch) for epoch in evaluated]
    assert [epoch for epoch, _ in reports] == list(range(epochs + 1))
    assert [row for _, row in reports if row is not None] == outcome.history


# 42 examples: the last chunk has 8 examples of padding, or there is none.
@pytest.mark.parametrize(("chunk", "validation"), [(10, 6), (1000, 0)])
def test_evaluation_against_a_direct_computation(chunk: int, validation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_EVALUATION_BATCH", chunk)
    data = dataset(27, validation, 15 - validation)
    outcome = loop.train(recipe(make_spec()), data, silent, no_snapshot)
    model = MLP(CLASSES, activations.gelu, 4, 1, True)
    variables = {"params": outcome.state.params, "batch_stats": outcome.state.batch_stats}
    row = outcome.history[-1]
    for name in ("train", "validation", "test"):
        x, y = getattr(data, name)
        if not len(x):
            assert row[f"{name}_loss"] is None
            assert row[f"{name}_accuracy"] is None
            continue
        logits = np.asarray(model.apply(variables, x, train=False), np.float64)
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]
        assert row[f"{name}_loss"] == pytest.approx(losses.mean(), rel=1e-5)
        assert row[f"{name}_accuracy"] == pytest.approx(np.mean(logits.argmax(1) == y))


def test_one_set_that_overflows_does_not_reach_another() -> None:
    spec = make_spec(model={"depth": 0})
    program, state, hyper = start(spec, dataset())
    x, y = (part[:4].copy() for part in dataset().train)
    members = np.array([[True, False], [True, False], [False, True], [False, True]])
    x[:2] = np.inf
    evaluate = quick_jit(program.evaluate)
    loss, _ = evaluate(state, hyper, (x, y), members)
    assert not np.isfinite(loss[0])
    expected, _ = evaluate(state, hyper, (x[2:], y[2:]), members[2:])
    np.testing.assert_allclose(loss[1], expected[1], rtol=1e-6)


def test_divergence_stops_the_training() -> None:
    """By the training loss alone, as no evaluation is due: the loop stops after the epoch in which it isn't finite."""
    reports = []
    spec = make_spec(
        model={"batch_norm": False},
        optimizer={"learning_rate": 1e30},
        training={"epochs": 50, "evaluate_every": 50},
    )
    outcome = loop.train(recipe(spec), dataset(), lambda epoch, row: reports.append(epoch), no_snapshot)
    assert outcome.diverged is not None
    epoch = outcome.diverged["epoch"]
    assert outcome.diverged == {"epoch": epoch, "step": 3 * epoch}
    assert 0 < epoch < 50
    assert reports == list(range(epoch))
    assert int(outcome.state.step) == 3 * epoch
    assert all(np.isfinite(value) for row in outcome.history for value in row.values())
    assert [row["epoch"] for row in outcome.history] == [0]


def test_on_a_cpu_what_gpus_do_with_products_and_sums_changes_no_bit() -> None:
    plain, other = (
        loop.train(recipe(make_spec(training={"epochs": 1, **training})), dataset(), silent, no_snapshot)
        for training in ({}, {"matmul_precision": "bfloat16", "deterministic": True})
    )
    assert plain.history == other.history
    jax.tree.map(np.testing.assert_array_equal, plain.state.params, other.state.params)


def test_loss_of_another_set_may_diverge_first() -> None:
    """Training is finite, the validation loss is not: found at the evaluation of epoch 2."""
    data = dataset()
    huge = (np.full_like(data.validation[0], 1e38), data.validation[1])
    spec = make_spec(model={"depth": 0}, optimizer={"learning_rate": 10.0}, training={"epochs": 4})
    program = make_program(recipe(spec), CLASSES, 27)
    first = program.init(np.uint32(0), hyperparameters(recipe(spec), 27), data.example)
    logits = huge[0].astype(np.float64) @ np.asarray(first.params["Dense_0"]["kernel"], np.float64)
    scale = 1e38 / np.abs(logits).max()  # the first evaluation is just finite
    outcome = loop.train(
        recipe(spec), data._replace(validation=(huge[0] * np.float32(min(1, scale)), huge[1])), silent, no_snapshot
    )
    assert outcome.diverged == {"epoch": 2, "step": 6}
    assert np.isfinite(float(outcome.state.loss))
    assert [row["epoch"] for row in outcome.history] == [0]


def test_data_whose_first_loss_is_not_finite_are_refused() -> None:
    data = dataset()
    x = data.test[0].copy()
    x[0, 0] = np.nan
    with pytest.raises(UserError) as caught:
        loop.train(recipe(make_spec(model={"depth": 0})), data._replace(test=(x, data.test[1])), silent, no_snapshot)
    assert str(caught.value).startswith("test_loss: not a finite number before the first step;")
    assert "\n" not in str(caught.value)


def test_batch_larger_than_the_training_set() -> None:
    with pytest.raises(UserError) as caught:
        loop.train(recipe(make_spec(training={"batch_size": 28})), dataset(), silent, no_snapshot)
    assert str(caught.value) == "training.batch_size: 28 is more than the 27 examples to train on"


def test_hyperparameters_in_steps_of_the_training_set() -> None:
    """27 examples in batches of 8 are 3 steps an epoch, whatever is left over."""
    spec = make_spec(
        activation={"name": "beta_gelu", "beta": 4.0},
        method={"name": "sam", "strength": 0.3, "m": None},
        optimizer={"warmup_epochs": 1.5, "warmup_from": 0.0, "clip_norm": 2.0},
    )
    numbers = hyperparameters(recipe(spec), 27)
    assert numbers[:-1] == tuple(np.float32(x) for x in (0.3, 4.0, 0.1, 5e-4, 2.0, 4, 0, 9))
    assert numbers.options == {"momentum": np.float32(0.9)}
    assert all(number.dtype == np.float32 for number in (*numbers[:-1], *numbers.options.values()))


def test_snapshots_are_the_states_after_their_steps() -> None:
    """Every step is offered, those at an epoch's end and the last one too; and looking changes nothing."""
    kept = {}
    spec = make_spec(model={"depth": 0}, training={"epochs": 2})
    outcome = loop.train(
        recipe(spec), dataset(), silent, lambda step, state: kept.update({step: jax.tree.map(np.array, state.params)})
    )
    assert list(kept) == [1, 2, 3, 4, 5, 6]
    plain = loop.train(recipe(spec), dataset(), silent, no_snapshot)
    jax.tree.map(np.testing.assert_array_equal, kept[6], outcome.state.params)
    jax.tree.map(np.testing.assert_array_equal, kept[6], plain.state.params)
    program, state, hyper = start(spec, dataset())
    step = quick_jit(program.step)
    for _ in range(2):
        state = step(state, hyper, dataset().train)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), kept[2], state.params)
