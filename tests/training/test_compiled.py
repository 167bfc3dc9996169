"""Runs of one shape share their functions, and are what they are alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from nmepkg.specs import recipe
from nmepkg.training import compiled, loop
from nmepkg.training.devices import ONE
from nmepkg.training.step import Program
from tests.training.runs import dataset, make_spec


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    compiled._kept.clear()


def functions(**changes: Any) -> compiled.Compiled:
    return compiled.compiled(recipe(make_spec(**changes)), 3, 24, None, ONE)


BETA = {"name": "beta_gelu", "second_derivative": None}
STEEP, FLAT = {**BETA, "beta": 100.0}, {**BETA, "beta": 1.0}


def test_seed_strength_and_beta_are_traced() -> None:
    first = functions(method={"name": "sam", "strength": 0.1, "m": None}, activation=FLAT)
    assert functions(method={"name": "sam", "strength": 0.3, "m": None}, activation=STEEP, seed=5) is first


@pytest.mark.parametrize(
    "changes",
    [
        {"method": {"name": "sam", "strength": 0.0, "m": None}},
        {"activation": {"name": "relu", "second_derivative": None}},
        {"activation": {"name": "gelu", "second_derivative": {"name": "zero"}}},
        {"model": {"width": 5}},
        {"optimizer": {"nesterov": False}},
        {"training": {"batch_size": 4}},
        {"loss": {"label_smoothing": 0.1}},
    ],
    ids=str,
)
def test_whatever_else_differs_has_functions_of_its_own(changes: dict[str, Any]) -> None:
    first = functions()
    assert functions(**changes) is not first


def test_functions_know_their_classes_and_examples() -> None:
    chosen = recipe(make_spec())
    first = compiled.compiled(chosen, 3, 24, None, ONE)
    assert compiled.compiled(chosen, 4, 24, None, ONE) is not first
    first = compiled.compiled(chosen, 3, 24, None, ONE)
    assert compiled.compiled(chosen, 3, 25, None, ONE) is not first


def test_the_second_run_of_a_shape_traces_nothing_and_is_what_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    for name in ("init", "begin_epoch", "step", "evaluate"):  # Python runs them when they are traced, and only then
        monkeypatch.setattr(Program, name, spied(getattr(Program, name), traced))

    def train(seed: int) -> loop.Outcome:
        return loop.train(recipe(make_spec(seed=seed)), dataset(), lambda *_: None, lambda *_: None)

    train(0)
    assert sorted(traced) == ["begin_epoch", "evaluate", "init", "step"]
    second = train(1)
    assert len(traced) == 4
    compiled._kept.clear()
    alone = train(1)
    jax.tree.map(np.testing.assert_array_equal, raw(second.state), raw(alone.state))
    assert second.history == alone.history


def spied(function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def spy(*arguments: Any) -> Any:
        calls.append(function.__name__)
        return function(*arguments)

    return spy


def raw(state: Any) -> Any:
    return state._replace(key=jax.random.key_data(state.key))
