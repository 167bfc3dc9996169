"""JSON Schema of a study. Its entries (a model, a method …) have schemas of their own, joined from the registry's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from nmepkg.entries import COUNTED, SEED, Entry, Schema
from nmepkg.registry import (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATASETS,
    FIGURES,
    LOSSES,
    MEASUREMENTS,
    METHODS,
    MODELS,
    SECOND_DERIVATIVES,
)

VERSION = 1
STRENGTHS = tuple(dict.fromkeys(method.strength for method in METHODS.values() if method.strength))
# Rules of the workflow, and its files beside the figures; a figure's name is a target too, and its files'.
TARGETS = (
    "figures", "measurements", "report", "all", "data", "train", "train_again", "train_together", "trained", "measure",
    "landscape", "figure", "origin",
)  # fmt: skip
FILES = ("study", "versions", "records")
TAKEN = frozenset((*TARGETS, *FILES))
LABEL = 100  # characters of a label in figures
REPORTS = ("final", "best_validation", "median_last")
METRICS = tuple(f"{part}_{what}" for part in ("train", "validation", "test") for what in ("accuracy", "loss"))

_COUNT = {"type": "integer", "minimum": 1, "maximum": COUNTED}
_COUNT_OR_NULL = {"type": ["integer", "null"], "minimum": 1, "maximum": COUNTED, "default": None}
_SEED = {"type": "integer", **SEED}
_NOT_NEGATIVE = {"type": "number", "minimum": 0}
_YEARS = 100_000  # hours
_ENTRY = {"type": ["string", "object"]}  # a name, or a mapping with `name` and options
_AXIS = {"type": ["string", "null"], "default": None}
_TITLE = {"type": "string", "maxLength": 300}


def _mapping(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema, **extra: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True, **extra}


_NAME = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z", "maxLength": 100}  # part of file names


_PATH = {"type": "string", "pattern": r"^[\w./][\w./+@=:,-]*\Z", "default": "results"}


def _named(items: Schema, **extra: Any) -> dict[str, Any]:
    return {"type": "object", "propertyNames": _NAME, "additionalProperties": items, **extra}


_SETUP = _mapping(
    {
        "title": _TITLE,
        "device_hours": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": _YEARS, "default": None},
        "device": {"type": ["string", "null"], "maxLength": 300, "default": None},
        "resources": {
            **_mapping(
                {
                    "gpus": {"type": "integer", "minimum": 0, "maximum": 1024, "default": 0},
                    "cpus": {**_COUNT, "maximum": 4096, "default": 1},
                    "memory_gb": {"type": "number", "minimum": 0.1, "maximum": 100_000, "default": 4.0},
                    "hours": {"type": "number", "exclusiveMinimum": 0, "maximum": _YEARS, "default": 1.0},
                }
            ),
            "default": {},
        },
        "runs_per_job": {**_COUNT, "maximum": 10_000, "default": 1},
        "data": _ENTRY,
        "validation": {
            **_mapping(
                {
                    "fraction": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.1},
                    "seed": {**_SEED, "default": 0},
                }
            ),
            "default": {},
        },
        "subset": {**_mapping({"train": _COUNT_OR_NULL, "test": _COUNT_OR_NULL}), "default": {}},
        "augmentation": {**_ENTRY, "default": "none"},
        "model": _ENTRY,
        "loss": {**_ENTRY, "default": "cross_entropy"},
        "optimizer": _mapping(
            {
                "learning_rate": {"type": "number", "exclusiveMinimum": 0},
                "momentum": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9},
                "nesterov": {"type": "boolean", "default": True},
                "weight_decay": {**_NOT_NEGATIVE, "default": 0.0},
                "decayed": {"enum": ["all", "kernels", "not_normalization"], "default": "all"},
                "reference_batch_size": _COUNT_OR_NULL,
                "warmup_epochs": {**_NOT_NEGATIVE, "default": 0.0},
                "warmup_from": {**_NOT_NEGATIVE, "maximum": 1, "default": 0.0},
                "clip_norm": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": None},
            },
            ["learning_rate"],
        ),
        "training": _mapping(
            {
                "epochs": _COUNT,
                "batch_size": _COUNT,
                "accumulate": {**_COUNT, "default": 1},
                "batch_norm_group": _COUNT_OR_NULL,
                "precision": {"enum": ["float32", "bfloat16"], "default": "float32"},
                "evaluate_every": {**_COUNT, "default": 10},
                "evaluate_last": {"type": "integer", "minimum": 0, "maximum": COUNTED, "default": 5},
                "evaluate_train": _COUNT_OR_NULL,
                "snapshots": {"type": "array", "items": _COUNT, "uniqueItems": True, "default": []},
            },
            ["epochs", "batch_size"],
        ),
    },
    ["data", "model", "optimizer", "training"],
)

_EXPERIMENT = _mapping(
    {
        "setups": _list({"type": "string"}),
        "methods": _list(_ENTRY),
        "activations": _list(_ENTRY),
        **{strength: _list(_NOT_NEGATIVE) for strength in STRENGTHS},
        "seeds": _list(_SEED),
        "measurements": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "default": []},
    },
    ["setups", "methods", "activations", "seeds"],
)

# What every measurement has, besides the options of its kind.
MEASUREMENT: dict[str, Schema] = {
    "at": _list({"anyOf": [{"enum": ["initial", "final"]}, _COUNT]}, default=["final"]),
    "split": {"enum": ["train", "validation", "test"], "default": "train"},
    "examples": {**_COUNT_OR_NULL, "default": 1024},
    "batch_size": _COUNT_OR_NULL,
    "batch_norm": {"enum": ["train", "evaluate"], "default": "train"},
    "seed": {**_SEED, "default": 0},
}

_LANDSCAPE = _mapping(
    {
        "model": _ENTRY,
        "inputs": _COUNT,
        "outputs": {**_COUNT, "default": 1},
        "activations": _list(_ENTRY),
        "seed": {**_SEED, "default": 0},
        "layer": {**_COUNT, "default": 1},
        "weights": _list(
            {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2},
            minItems=2,
            maxItems=2,
        ),
        "range": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        "points": {"type": "integer", "minimum": 2, "maximum": 1001, "default": 101},
    },
    ["model", "inputs", "activations", "weights", "range"],
)

_ANY_FIGURE: dict[str, Schema] = {
    "kind": {"enum": list(FIGURES), "default": "curve"},
    "title": {**_TITLE, "default": ""},
    "caption": {"type": "string", "maxLength": 10_000, "default": ""},
}
FIGURE = {
    "curve": _mapping(
        {
            **_ANY_FIGURE,
            "experiments": _list({"type": "string"}),
            "measurement": {"type": ["string", "null"], "default": None},
            "x": {"type": "string"},
            "y": {
                "type": ["string", "array"],
                "items": {"type": "string"},
                "minItems": 1,
                "uniqueItems": True,
                "default": "test_accuracy",
            },
            "rows": _AXIS,
            "columns": _AXIS,
            "lines": _AXIS,
            "x_scale": {"enum": ["log", "linear"], "default": "log"},
            "y_scale": {"enum": ["linear", "log", "symlog"], "default": "linear"},
            "report": {"enum": list(REPORTS), "default": "final"},
        },
        ["experiments", "x"],
    ),
    "landscape": _mapping({**_ANY_FIGURE, "landscape": {"type": "string"}}, ["landscape"]),
}

STUDY = _mapping(
    {
        "version": {"type": "integer"},
        "name": _NAME,
        "store": _PATH,
        "output": _PATH,
        "checkpoints": {
            **_mapping(
                {
                    "seconds": {"type": ["number", "null"], "minimum": 0, "default": 60.0},
                    "epochs": _COUNT_OR_NULL,
                }
            ),
            "default": {},
        },
        "limit_runs": {**_COUNT, "maximum": 1_000_000, "default": 10000},
        "sources": {"type": "object", "additionalProperties": {"type": "string", "pattern": r"\S"}, "default": {}},
        "select": {**_list({"type": "string"}), "type": ["array", "null"], "default": None},
        "smoke": {"type": "boolean", "default": False},
        "setups": _named(_SETUP, minProperties=1),
        "experiments": _named(_EXPERIMENT, minProperties=1),
        "measurements": _named({"type": "object"}, default={}),
        "landscapes": _named(_LANDSCAPE, default={}),
        "figures": _named({"type": "object"}, default={}),
    },
    ["version", "name", "setups", "experiments"],
)

# What an entry of each kind may name.
ENTRIES: dict[str, Mapping[str, Entry]] = {
    "data": DATASETS,
    "augmentation": AUGMENTATIONS,
    "model": MODELS,
    "loss": LOSSES,
    "method": METHODS,
    "activation": ACTIVATIONS,
    "second_derivative": SECOND_DERIVATIVES,
    "measurement": MEASUREMENTS,
}


@cache
def entry_schema(kind: str, name: str, key: str) -> dict[str, Any]:
    """The schema of an entry's mapping: its name under ``key``, its options, and what its kind adds."""
    entry = ENTRIES[kind][name]
    extra: Mapping[str, Schema] = {}
    if kind == "activation":
        extra = {"second_derivative": {"default": None}}
    elif kind == "measurement":
        extra = MEASUREMENT
    required = [option for option, schema in entry.options.items() if "default" not in schema]
    return _mapping({key: {"const": name}, **extra, **entry.options}, [key, *required])
