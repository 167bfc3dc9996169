"""How many examples a measurement takes at once. Imports no JAX: the study loader checks with it."""

from __future__ import annotations

from typing import NamedTuple

from nmepkg.registry import MODELS
from nmepkg.specs import Choice, Training


class Sizes(NamedTuple):
    """Examples that are taken at once.

    Attributes:
      group: that BatchNorm normalises together; all of a batch's without BatchNorm.
      batch: whose gradient is taken as one; a multiple of ``group``.
    """

    group: int
    batch: int


def sizes(training: Training, model: Choice, batch_size: int | None, m: int | None = None) -> Sizes:
    """What a measurement takes at once: batches of its own size, or else what a training step does.

    Of a step's batch that is a part of ``batch_size / accumulate`` examples, in which BatchNorm normalises groups of
    ``batch_norm_group``, or of a method's ``m``, by themselves. ``m`` counts for BatchNorm alone: the gradient is that of the
    whole part, as SGD's, so that one measurement is the same for all methods.

    Args:
      training, model: of the run.
      batch_size: of the measurement; None: the step's.
      m: of the run's method.
    """
    if batch_size is not None:
        return Sizes(batch_size, batch_size)
    part = training.examples_at_once
    if not MODELS[model.name].mixes_examples(model.options):
        return Sizes(part, part)
    return Sizes(training.batch_norm_group or m or part, part)
