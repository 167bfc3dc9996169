"""A training by several processes, on one or more hosts: the first one leads, the others take the same steps.

Only the leader reads checkpoints and writes files, so that nothing depends on when other processes see them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import numpy as np

from nmepkg.specs import Recipe
from nmepkg.training import loop
from nmepkg.training.devices import agree
from nmepkg.training.step import State

BEGINS, RESUMES, FINISHED = range(3)


def announce(what: int, state: State | None = None) -> None:
    """Of the leader: how a training goes on, and from where."""
    if jax.process_count() == 1:
        return
    agree(np.int32(what))
    if state is not None:
        agree(_plain(state))


def follow(recipe: Recipe, dataset: Any) -> None:
    """Takes the steps of a training that another process leads, until it ends; if the leader stops, this process is stopped."""

    class FinishedError(Exception):
        pass

    def resume(shapes: Callable[[], State]) -> loop.Position | None:
        what = int(agree(np.int32(0)))
        if what == FINISHED:
            raise FinishedError
        if what == BEGINS:
            return None
        empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(_plain, shapes()))
        state: State = agree(empty)
        return loop.Position(state._replace(key=jax.random.wrap_key_data(state.key)), [{}])

    with suppress(FinishedError):
        loop.train(recipe, dataset, lambda epoch, row: None, lambda step, state: None, resume)


def _plain(state: State) -> State:
    return state._replace(key=jax.random.key_data(state.key))
