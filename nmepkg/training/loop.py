"""The training loop: epochs of compiled steps, evaluation along the way, and divergence as a result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from nmepkg.data.store import Dataset
from nmepkg.errors import UserError
from nmepkg.training.optimizer import Hyperparameters
from nmepkg.training.step import State, make_program

SETS = ("train", "validation", "test")
_EVALUATION_BATCH = 1000  # bounds the memory of an evaluation

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


def hyperparameters(spec: Mapping[str, Any], examples: int) -> Hyperparameters:
    """The traced numbers of a canonical spec, in single precision; ``examples`` counts the training set."""
    optimizer, training = spec["optimizer"], spec["training"]
    epoch = examples // training["batch_size"]
    numbers = Hyperparameters(
        strength=spec["method"]["strength"],
        beta=spec["activation"].get("beta", 1.0),
        learning_rate=optimizer["learning_rate"],
        momentum=optimizer["momentum"],
        weight_decay=optimizer["weight_decay"],
        clip_norm=optimizer["clip_norm"] or 0.0,
        warmup_steps=round(optimizer["warmup_epochs"] * epoch),
        total_steps=training["epochs"] * epoch,
    )
    return Hyperparameters(*(np.float32(number) for number in numbers))


class Position(NamedTuple):
    """A training between two steps, as a checkpoint holds it.

    Attributes:
      state: after some steps; its arrays are the next step's to overwrite.
      history: the evaluations so far.
    """

    state: State
    history: list[Row]


def train(
    spec: Mapping[str, Any],
    dataset: Dataset,
    report: Callable[[int, Row | None], None],
    snapshot: Callable[[int, State], None],
    resume: Callable[[Callable[[], State]], Position | None] = lambda shapes: None,
    between: Callable[[Position, bool], None] = lambda position, epoch_done: None,
) -> Outcome:
    """Trains the run of a canonical spec.

    Each epoch visits the training examples in a fresh permutation, in batches; what does not fill a last batch is left out
    of that epoch. Evaluations come before the first step, every ``evaluate_every`` epochs, and after the last. Steps are
    dispatched from Python, as a convolution inside a scan is an order of magnitude slower on a CPU; the host waits for the
    device once an epoch, to see whether the loss is still finite.

    Args:
      spec: canonical, complete.
      dataset: split data.
      report: called after every epoch with its number and the evaluation, where there was one.
      snapshot: called with the number of steps taken and the state there, at each of ``training.snapshots``.
      resume: asked once for where an earlier process came to, given a function that returns the state's shapes; None begins
        anew. A training that resumes gives the same bits as one that was never interrupted.
      between: called wherever a training may be resumed from: between two steps, and after an epoch with its evaluation
        (True). What it raises ends the training.

    Raises:
      UserError: the batch is larger than the training set, a snapshot lies beyond the last step, or a loss isn't finite
        before the first step.
    """
    training = spec["training"]
    examples = len(dataset.train[0])
    if training["batch_size"] > examples:
        raise UserError(
            f"training.batch_size: {training['batch_size']} is more than the {examples} examples to train on"
        )
    epochs, steps = training["epochs"], examples // training["batch_size"]
    wanted = frozenset(training["snapshots"])
    if wanted and max(wanted) > epochs * steps:
        raise UserError(
            f"training.snapshots: step {max(wanted)} lies beyond the {epochs * steps} steps of the training"
        )
    hyper = jax.device_put(hyperparameters(spec, examples))
    data = jax.device_put(dataset.train)
    program = make_program(spec, dataset.classes)
    step = jax.jit(program.step, donate_argnums=0)
    begin_epoch = jax.jit(program.begin_epoch, donate_argnums=0)
    evaluate = _evaluator(program.evaluate, dataset)

    start = (np.uint32(spec["seed"]), hyper, data[0])
    resumed = resume(lambda: jax.eval_shape(program.init, *start))
    if resumed is not None:
        state, history = jax.device_put(resumed.state), resumed.history
    else:
        state = jax.jit(program.init)(*start)
        history = [{"epoch": 0, "step": 0, **evaluate(state, hyper)}]
        for name in (f"{name}_loss" for name in SETS):
            if not math.isfinite(history[0][name] or 0.0):
                raise UserError(f"{name}: not a finite number before the first step; check the inputs of the data set")
    done = int(state.step)
    report(done // steps, history[-1])
    for epoch in range(done // steps + 1, epochs + 1):
        begun = max(done, (epoch - 1) * steps)
        if begun == (epoch - 1) * steps:
            state = begin_epoch(state)
        for taken in range(begun + 1, epoch * steps + 1):
            state = step(state, hyper, data)
            if taken in wanted:
                snapshot(taken, state)
            if taken < epoch * steps:
                between(Position(state, history), False)
        row = None
        finite = math.isfinite(float(state.loss))
        if finite and (epoch % training["evaluate_every"] == 0 or epoch == epochs):
            row = {"epoch": epoch, "step": epoch * steps, **evaluate(state, hyper)}
            finite = all(math.isfinite(number) for number in row.values() if number is not None)
        if not finite:
            return Outcome(state, history, {"epoch": epoch, "step": epoch * steps})
        if row:
            history.append(row)
        report(epoch, row)
        between(Position(state, history), True)
    return Outcome(state, history, None)


def _evaluator(evaluate: Callable[..., tuple[Array, Array]], dataset: Dataset) -> Callable[..., Row]:
    """(state, hyper) -> mean loss and accuracy of every set, null where a set is empty; one compilation serves all."""
    sets = (dataset.train, dataset.validation, dataset.test)
    sizes = np.asarray([len(x) for x, _ in sets], dtype=np.int64)
    total = int(sizes.sum())
    batch = min(total, _EVALUATION_BATCH)
    padding = -total % batch
    members = np.repeat(np.eye(len(sets), dtype=bool), sizes, axis=0)

    def batches(array: np.ndarray) -> Array:
        padded = np.pad(array, [(0, padding)] + [(0, 0)] * (array.ndim - 1))
        return jax.device_put(padded.reshape(-1, batch, *array.shape[1:]))

    inputs, labels = (np.concatenate([part[i] for part in sets]) for i in (0, 1))
    chunks = list(zip(batches(inputs), batches(labels), batches(members), strict=True))
    compiled = jax.jit(evaluate)

    def row(state: State, hyper: Hyperparameters) -> Row:
        sums = [compiled(state, hyper, (x, y), member) for x, y, member in chunks]
        losses, correct = (np.sum([np.asarray(part[i], np.float64) for part in sums], axis=0) for i in (0, 1))
        result: Row = {}
        for name, size, loss, hits in zip(SETS, sizes, losses, correct, strict=True):
            result[f"{name}_loss"] = float(loss / size) if size else None
            result[f"{name}_accuracy"] = float(hits / size) if size else None
        return result

    return row
