"""What makes a run the same run: its canonical spec, its id, and the code behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache

from nmepkg.records import digest, to_json
from nmepkg.registry import (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATASETS,
    FIGURES,
    LOSSES,
    MEASUREMENTS,
    METHODS,
    MODELS,
    OPTIMIZERS,
    SECOND_DERIVATIVES,
)
from nmepkg.runs.fingerprint import fingerprint
from nmepkg.study.spec import Spec

_TRAINING = "nmepkg.training.loop"  # what decides a number; not what reports it


def run_targets(spec: Spec) -> list[str]:
    """The code that training a spec runs, data preparation apart: modules, or ``module:attribute``."""
    data = DATASETS[spec["data"]["name"]]
    return [
        _TRAINING,
        *_model_targets(spec),
        METHODS[spec["method"]["name"]].target,
        OPTIMIZERS[spec["optimizer"]["name"]].target,
        AUGMENTATIONS[spec["augmentation"]["name"]].target,
        data.reader,
        data.feed,
    ]


def measurement_targets(spec: Spec) -> list[str]:
    """The code that a measurement runs, besides that of the run that it measures."""
    return ["nmepkg.measurement.points", MEASUREMENTS[spec["kind"]].target, *_second_derivative_targets(spec)]


def landscape_targets(spec: Spec) -> list[str]:
    """The code that computes a landscape."""
    return ["nmepkg.landscape.compute", *_model_targets(spec)]


def data_targets(spec: Spec) -> list[str]:
    """The code that prepares a data set."""
    return ["nmepkg.data.store", DATASETS[spec["name"]].target]


def figure_targets(kind: str) -> list[str]:
    """The code that draws a figure of a kind."""
    return ["nmepkg.analysis.render", FIGURES[kind].target]


def _model_targets(spec: Spec) -> list[str]:
    """Where the code of model, activation and loss is."""
    entries = [
        MODELS[spec["model"]["name"]],
        ACTIVATIONS[spec["activation"]["name"]],
        LOSSES[spec["loss"]["name"]],
    ]
    return [*(entry.target for entry in entries), *_second_derivative_targets(spec["activation"])]


def _second_derivative_targets(spec: Spec) -> list[str]:
    second = spec["second_derivative"]
    return [SECOND_DERIVATIVES[second["name"]].target] if second else []


def code_hash(targets: Iterable[str]) -> str:
    """The hash of all modules that some code imports, and of which of their attributes it is."""
    return _code_hash(tuple(targets))


@cache
def _code_hash(targets: tuple[str, ...]) -> str:
    named = sorted(target for target in targets if ":" in target)
    return hashlib.sha256(to_json([fingerprint(modules(targets)), named]).encode()).hexdigest()[:16]


def modules(targets: Iterable[str]) -> list[str]:
    """The modules that targets name."""
    return [target.partition(":")[0] for target in targets]


def data_id(spec: Spec) -> str:
    """``<name>-<hash>`` of a data set, over its spec and the code that makes it."""
    return f"{spec['name']}-{digest([spec, code_hash(data_targets(spec))])}"


def run_id(spec: Spec, code: str, data: str) -> str:
    """A readable label and the hash of a canonical spec, its code and its data."""
    return f"{label(spec)}-{digest([spec, code, data])}"


def measurement_id(spec: Spec, code: str, run: str) -> str:
    """``<kind>-<hash>`` of a measurement of a run."""
    return f"{spec['kind']}-{digest([spec, code, run])}"


def landscape_id(spec: Spec, code: str) -> str:
    """``<activation>-<hash>`` of a landscape."""
    return f"{spec['activation']['name']}-{digest([spec, code])}"


def label(spec: Spec) -> str:
    """``mnist1d-mlp-psam-0.1-gelu-s0``: enough for a human to tell runs apart, from the spec alone."""
    method, activation = spec["method"], spec["activation"]
    second = activation["second_derivative"]
    parts = [
        spec["data"]["name"],
        spec["model"]["name"],
        *([spec["optimizer"]["name"]] if spec["optimizer"]["name"] != "sgd" else []),
        method["name"],
        *([f"{method['strength']:g}"] if METHODS[method["name"]].strength else []),
        activation["name"] + (f"{activation['beta']:g}" if "beta" in activation else ""),
        *([second["name"]] if second else []),
        f"s{spec['seed']}",
    ]
    return "-".join(parts)
