"""How many examples a measurement takes at once. Imports no JAX: the study loader checks with it."""

from __future__ import annotations

from typing import NamedTuple

from nmepkg.registry import MODELS
from nmepkg.specs import Choice, Training


class Sizes(NamedTuple):
    """Examples that belong together.

    Attributes:
      group: that BatchNorm normalises together; without BatchNorm, that are taken at once.
      batch: whose gradient is one; a multiple of ``group``.
    """

    group: int
    batch: int


def sizes(training: Training, model: Choice, batch_size: int | None, m: int | None = None) -> Sizes:
    """What a measurement takes: batches of its own size, or else a training step's.

    Of a step's batch BatchNorm normalises groups of ``batch_norm_group``, or of a method's ``m``, by themselves. ``m`` counts
    for BatchNorm alone: the gradient is that of the whole batch, as SGD's, so that one measurement is the same for all methods.

    Args:
      training, model: of the run.
      batch_size: of the measurement; None: the step's.
      m: of the run's method.
    """
    if batch_size is not None:
        return Sizes(batch_size, batch_size)
    group = training.examples_at_once
    if MODELS[model.name].mixes_examples(model.options):
        group = training.batch_norm_group or m or group
    return Sizes(group, training.batch_size)
