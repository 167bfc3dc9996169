"""The training loop: epochs of compiled steps, evaluation along the way, and divergence as a result."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from nmepkg import numerics
from nmepkg.data.splits import SETS
from nmepkg.data.store import Dataset
from nmepkg.entries import load_target
from nmepkg.errors import UserError
from nmepkg.registry import DATASETS
from nmepkg.specs import Recipe, Training
from nmepkg.training import devices
from nmepkg.training.compiled import compiled
from nmepkg.training.feed import Feed
from nmepkg.training.optimizer import Hyperparameters, hyperparameters
from nmepkg.training.step import State

Row = dict[str, Any]  # one line of a history: epoch, step, and loss and accuracy of each set


class Outcome(NamedTuple):
    """What a training gave.

    Attributes:
      state: after the last step.
      history: an evaluation a row; a diverged run's last row is the last one that was finite.
      diverged: None, or the epoch and step by which a loss was no longer a finite number.
    """

    state: State
    history: list[Row]
    diverged: dict[str, int] | None


class Position(NamedTuple):
    """A training between two steps, as a checkpoint holds it.

    Attributes:
      state: after some steps; its arrays are the next step's to overwrite.
      history: the evaluations so far.
    """

    state: State
    history: list[Row]


@numerics.settings()
def train(
    recipe: Recipe,
    dataset: Dataset,
    report: Callable[[int, Row | None], None],
    snapshot: Callable[[int, State], None],
    resume: Callable[[Callable[[], State]], Position | None] = lambda shapes: None,
    checkpoint: Callable[[Position, bool], None] = lambda position, epoch_done: None,
) -> Outcome:
    """Trains a run.

    Each epoch visits the training examples in a fresh permutation, in batches; what does not fill a last batch is left out
    of that epoch. Evaluations come before the first step, every ``evaluate_every`` epochs, and after each of the last
    ``evaluate_last``, one at least. Steps are dispatched from Python, as a convolution inside a scan is an order of magnitude
    slower on a CPU; the host waits for the device once an epoch, to see whether the loss is still finite.

    Args:
      recipe: of the run.
      dataset: split data.
      report: called after every epoch with its number and the evaluation, where there was one.
      snapshot: called after every step with the number of steps taken and the state there, to keep what it likes.
      resume: asked once for where an earlier process came to, given a function that returns the state's shapes; None begins
        anew. A training that resumes takes the same steps on the same numbers as one that was never interrupted.
      checkpoint: called wherever a training may be resumed from: between two steps, and after an epoch with its evaluation
        (True). What it raises ends the training.

    Raises:
      UserError: the batch is larger than the training set, or a loss isn't finite before the first step.
    """
    training = recipe.training
    examples = dataset.sizes[0]
    if training.batch_size > examples:
        raise UserError(f"training.batch_size: {training.batch_size} is more than the {examples} examples to train on")
    epochs, steps = training.epochs, examples // training.batch_size
    layout = devices.layout(recipe)
    feed: Feed = load_target(DATASETS[recipe.data.name].feed)(dataset, recipe, layout)
    hyper = layout.replicate(hyperparameters(recipe, examples))
    functions = compiled(recipe, dataset.classes, examples, dataset.scaling, layout)
    evaluate = partial(_evaluate, functions.evaluate, feed)

    start = (np.uint32(recipe.seed), hyper, layout.replicate(dataset.example))
    resumed = resume(lambda: jax.eval_shape(functions.init, *start))
    if resumed is not None:
        state, history = layout.replicate(resumed.state), resumed.history
    else:
        state = functions.init(*start)
        history = [{"epoch": 0, "step": 0, **evaluate(state, hyper)}]
        for name in (f"{name}_loss" for name in SETS):
            if not math.isfinite(history[0][name] or 0.0):
                raise UserError(
                    f"{name}: not a finite number before the first step; check inputs and labels of the data set"
                )
    done = int(state.step)
    report(done // steps, history[-1])
    for epoch in range(done // steps + 1, epochs + 1):
        begun = max(done, (epoch - 1) * steps)
        if begun == (epoch - 1) * steps:
            state = functions.begin_epoch(state)
        for taken, data in enumerate(feed.steps(begun, epoch * steps), begun + 1):
            state = functions.step(state, hyper, data)
            feed.throttle(state)
            snapshot(taken, state)
            if taken < epoch * steps:
                checkpoint(Position(state, history), False)
        row = None
        finite = math.isfinite(float(state.loss))
        if finite and _is_evaluated(training, epoch):
            row = {"epoch": epoch, "step": epoch * steps, **evaluate(state, hyper)}
            finite = all(math.isfinite(number) for number in row.values() if number is not None)
        if not finite:
            return Outcome(state, history, {"epoch": epoch, "step": epoch * steps})
        if row:
            history.append(row)
        report(epoch, row)
        checkpoint(Position(state, history), True)
    return Outcome(state, history, None)


def _is_evaluated(training: Training, epoch: int) -> bool:
    return epoch % training.evaluate_every == 0 or epoch > training.epochs - max(1, training.evaluate_last)


def _evaluate(compiled: Callable[..., tuple[Array, Array]], feed: Feed, state: State, hyper: Hyperparameters) -> Row:
    """Mean loss and accuracy of every set, null where a set is empty."""
    sums = [compiled(state, hyper, batch, members) for batch, members in feed.evaluation()]
    losses, correct = (np.sum([np.asarray(part[i], np.float64) for part in sums], axis=0) for i in (0, 1))
    result: Row = {}
    for name, size, loss, hits in zip(SETS, feed.sizes.tolist(), losses, correct, strict=True):
        result[f"{name}_loss"] = float(loss / size) if size else None
        result[f"{name}_accuracy"] = float(hits / size) if size else None
    return result
