"""The one spec of runs, or of measurements, that are equal however a study writes them."""

from __future__ import annotations

from nmepkg.registry import METHODS, MODELS
from nmepkg.study.spec import Spec


def canonical(spec: Spec) -> Spec:
    """The same for runs that are equal.

    Any method at strength 0 is SGD, and of its groups of m examples what remains is that BatchNorm normalises each by itself;
    where a method takes no second derivative of the activation, it does not matter what replaces that derivative; where no
    label is wrong, what would draw one does not either.
    """
    if spec["label_noise"]["fraction"] == 0:
        spec = {**spec, "label_noise": {"fraction": 0.0, "seed": 0}}
    if spec["method"]["strength"] == 0:
        spec = {**spec, "method": {"name": "sgd", "strength": 0.0}, "training": _without_groups(spec)}
    if not METHODS[spec["method"]["name"]].second_order:
        spec = {**spec, "activation": {**spec["activation"], "second_derivative": None}}
    return spec


def _without_groups(spec: Spec) -> Spec:
    """The ``training`` of a spec by SGD that normalises what a method at strength 0 normalises."""
    training, m = spec["training"], spec["method"].get("m")
    if m is None or training["batch_norm_group"] or m == training["batch_size"]:
        return training
    return (
        {**training, "batch_norm_group": m} if MODELS[spec["model"]["name"]].mixes_examples(spec["model"]) else training
    )


def canonical_measurement(spec: Spec, activation: Spec) -> Spec:
    """The spec of a measurement of a cell with this activation, from what the study says of the measurement.

    What is measured depends on what replaces φ'' even where the training does not: cells that share a run are measured apart.
    """
    return {**spec, "second_derivative": activation["second_derivative"]}
