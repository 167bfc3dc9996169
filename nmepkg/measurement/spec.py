"""How many examples a measurement takes at once. Imports no JAX: the study loader checks with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nmepkg.registry import MODELS


class Sizes(NamedTuple):
    """Examples that are taken at once.

    Attributes:
      group: that BatchNorm normalises together; all of a batch's without BatchNorm.
      batch: whose gradient is taken as one; a multiple of ``group``.
    """

    group: int
    batch: int


def sizes(run_spec: Mapping[str, Any], spec: Mapping[str, Any]) -> Sizes:
    """What a measurement takes at once: batches of its own size, or else what a training step does.

    Of a step's batch that is a part of ``batch_size / accumulate`` examples, in which BatchNorm normalises groups of
    ``batch_norm_group``, or of a method's ``m``, by themselves. ``m`` counts for BatchNorm alone: the gradient is that of the
    whole part, as SGD's, so that one measurement is the same for all methods.

    Args:
      run_spec: canonical spec of a run; its ``method`` may still be missing.
      spec: canonical spec of the measurement.
    """
    if spec["batch_size"] is not None:
        return Sizes(spec["batch_size"], spec["batch_size"])
    training = run_spec["training"]
    part = training["batch_size"] // training["accumulate"]
    if not MODELS[run_spec["model"]["name"]].mixes_examples(run_spec["model"]):
        return Sizes(part, part)
    return Sizes(training["batch_norm_group"] or run_spec.get("method", {}).get("m") or part, part)
