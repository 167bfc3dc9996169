"""A study in small: every kind of job and every figure of it within minutes, to find out before the real one what is amiss.

It keeps a study's shape (setups, experiments, axes, figures) and shrinks everything else: data are drawn from a generator,
models are the smallest of their kind, a training is one epoch of a few steps. Its numbers mean nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nmepkg.registry import DATASETS, MEASUREMENTS, MODELS, STRENGTHS
from nmepkg.study.setups import data_shape
from nmepkg.study.spec import Spec

_IMAGE, _CLASSES, _POINTS = 32, 10, 11  # at most
_BATCH, _GROUP, _PARTS = 8, 2, 2
_TRAIN, _TEST, _SAMPLES, _VALIDATION = 8, 4, 25, 0.25  # examples for each of a batch; two batches to validate on
_HOURS = 0.5  # a job may take
_MEASURED = {"samples": 2, "steps": 4, "top": 2, "points": 5}


def smoke(study: Spec) -> Spec:
    """The content of a checked study in small.

    Args:
      study: its content, complete; entries may be as written.
    """
    experiments = {name: _experiment(experiment) for name, experiment in study["experiments"].items()}
    groups = _Groups(experiments.values())
    steps = _Steps(study)
    return {
        **study,
        "name": f"{study['name']}-smoke",
        "sources": {},
        "setups": {name: _setup(setup, groups) for name, setup in study["setups"].items()},
        "experiments": {name: groups.replaced(experiment) for name, experiment in experiments.items()},
        "measurements": {name: _measurement(spec, groups, steps) for name, spec in study["measurements"].items()},
        "landscapes": {
            name: {**spec, "points": min(spec["points"], _POINTS)} for name, spec in study["landscapes"].items()
        },
    }


def _entry(value: Any) -> Spec:
    return {"name": value} if isinstance(value, str) else dict(value)


class _Groups:
    """Groups of m examples that a method takes, as small as they can be and still differ, and a batch that holds each."""

    def __init__(self, experiments: Iterable[Spec]) -> None:
        methods = [_entry(method) for experiment in experiments for method in experiment["methods"]]
        sizes = {m for method in methods for m in _listed(method.get("m")) if m is not None}
        self._small = {m: _GROUP ** (rank + 1) for rank, m in enumerate(sorted(sizes - {1}))} | {1: 1}
        self.batch = max([_BATCH, *(_PARTS * m for m in self._small.values())])

    def replaced(self, experiment: Spec) -> Spec:
        """An experiment with small groups in place of its own."""
        methods = []
        for method in experiment["methods"]:
            if not isinstance(method, str) and method.get("m") is not None:
                m = method["m"]
                method = {**method, "m": [self._small.get(x, x) for x in m] if isinstance(m, list) else self._small[m]}
            methods.append(method)
        return {**experiment, "methods": methods}


class _Steps:
    """Small steps in place of those at which a study measures, in the same order; some share one, as there are few."""

    def __init__(self, study: Spec) -> None:
        measured = [step for spec in study["measurements"].values() for step in spec.get("at", [])]
        ordered = sorted({int(step) for step in measured if not isinstance(step, str)})
        there = round(_TRAIN * (1 - _VALIDATION)) - 1  # the last one is "final"
        share = min(1.0, there / max(1, len(ordered)))
        self._small = {step: 1 + int(rank * share) for rank, step in enumerate(ordered)}

    def replaced(self, steps: Iterable[Any]) -> list[Any]:
        """Steps, or ``initial``, ``final`` and shares, in small, each once."""
        return list(dict.fromkeys(step if isinstance(step, str) else self._small[int(step)] for step in steps))


def _setup(setup: Spec, groups: _Groups) -> Spec:
    data, augmentation = _data(_entry(setup["data"]), groups.batch), _entry(setup["augmentation"])
    if augmentation["name"] != "none":
        options = {k: v for k, v in augmentation.items() if augmentation["name"] == "pad_crop_flip"}
        padding = min(options.get("padding", 4), min(data_shape(data)[:2]) - 1)
        augmentation = {**options, "name": "pad_crop_flip", "padding": padding}
    model = _entry(setup["model"])
    model |= MODELS[model["name"]].small
    if "patch" in model:
        model["patch"] = math.gcd(model["patch"], *data_shape(data)[:2])
    training, optimizer = setup["training"], setup["optimizer"]
    group, resources = training["batch_norm_group"], setup["resources"]
    accumulate = min(training["accumulate"], _PARTS)
    return {
        **setup,
        "device_hours": None,
        "resources": {
            **resources,
            "gpus": resources["gpus"] and math.gcd(resources["gpus"], groups.batch // accumulate),
            "hours": min(resources["hours"], _HOURS),
        },
        "data": data,
        "validation": {**setup["validation"], "fraction": _VALIDATION if setup["validation"]["fraction"] else 0.0},
        "subset": {"train": None, "test": None},
        "augmentation": augmentation,
        "model": model,
        "optimizer": {**optimizer, "warmup_epochs": min(optimizer.get("warmup_epochs", 0.0), 0.5)},
        "training": {
            **training,
            "epochs": 1,
            "batch_size": groups.batch,
            "accumulate": accumulate,
            "batch_norm_group": group and min(group, _GROUP),
            "evaluate_every": 1,
            "evaluate_train": None,
        },
    }


def _data(data: Spec, batch: int) -> Spec:
    """What is drawn from a generator has few samples; all else becomes noise of the same shape."""
    shape = data_shape(data)
    if "samples" in DATASETS[data["name"]].options:
        test = data.get("test") and _SAMPLES * batch  # more than the fifth that there is anyway: these are drawn too
        return {**data, "samples": _SAMPLES * batch, "test": test}
    return {
        "name": "generated",
        "shape": [*(min(size, _IMAGE) for size in shape[:2]), *shape[2:]],
        "classes": min(data.get("classes", DATASETS[data["name"]].classes), _CLASSES),
        "train": _TRAIN * batch,
        "test": _TEST * batch,
    }


def _experiment(experiment: Spec) -> Spec:
    """One seed, and of each grid its ends; at strength 0 too, where that is part of it."""
    lists = {key: experiment[key] for key in STRENGTHS if key in experiment}
    return {
        **experiment,
        **{key: [x for x in values if x == 0 or x in _ends(set(values) - {0})] for key, values in lists.items()},
        "methods": [_thinned(method) for method in experiment["methods"]],
        "activations": [_thinned(activation) for activation in experiment["activations"]],
        "seeds": experiment["seeds"][:1],
    }


def _thinned(entry: Any) -> Any:
    """An entry whose lists of options are at most two values long; which it may name, stays."""
    if isinstance(entry, str):
        return entry
    return {key: _thinned_option(value) if key != "name" else value for key, value in entry.items()}


def _thinned_option(value: Any) -> Any:
    return _ends(value) if isinstance(value, list) else _thinned(value) if isinstance(value, Mapping) else value


def _ends(values: Iterable[Any]) -> list[Any]:
    """The smallest and the largest of some numbers; of anything else, the first and the last."""
    values = list(values)
    if all(isinstance(value, int | float) for value in values):
        values = sorted(values)
    return values if len(values) < 2 else [values[0], values[-1]]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _measurement(measurement: Spec, groups: _Groups, steps: _Steps) -> Spec:
    """Two batches, and few of what it does many of, by default too."""
    options = MEASUREMENTS[measurement["kind"]].options
    many = {key: options[key]["default"] for key in _MEASURED if key in options}
    many |= {key: measurement[key] for key in many if key in measurement}
    room = (
        options["max_parameters"]["default"] if "max_parameters" in options else None
    )  # the small may be the larger one
    return {
        **measurement,
        **{key: min(_MEASURED[key], number) for key, number in many.items()},
        **({"max_parameters": max(room, measurement.get("max_parameters", 0))} if room else {}),
        "examples": 2 * groups.batch,
        "batch_size": measurement.get("batch_size") and groups.batch,
        "at": steps.replaced(measurement.get("at", ["final"])),
    }
