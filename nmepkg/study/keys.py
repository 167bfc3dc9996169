"""The keys of a study below its top: JSON Schema fragments that say what each means, with its default and an example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nmepkg.entries import COUNTED, SEED, Schema
from nmepkg.registry import METHODS

STRENGTHS = tuple(dict.fromkeys(method.strength for method in METHODS.values() if method.strength))
REPORTS = ("final", "best_validation", "median_last")

COUNT = {"type": "integer", "minimum": 1, "maximum": COUNTED}
_COUNT_OR_NULL = {"type": ["integer", "null"], "minimum": 1, "maximum": COUNTED, "default": None}
SEED_KEY = {"type": "integer", **SEED}
_NOT_NEGATIVE = {"type": "number", "minimum": 0}
_FLAG = {"type": "boolean"}
_YEARS = 100_000  # hours
ENTRY = {"type": ["string", "object"]}  # a name, or a mapping with `name` and options
TITLE = {"type": "string", "maxLength": 300}


def key(meaning: str, schema: Schema, *, example: Any = None, assumed: bool = False, **more: Any) -> dict[str, Any]:
    """A fragment with what the key means.

    Args:
      example: that is not the default.
      assumed: whether the paper does not say what the default is.
      more: keywords of JSON Schema, in place of those of ``schema``.
    """
    shown = {} if example is None else {"examples": [example]}
    return {"description": meaning, **schema, **more, **shown, **({"assumed": True} if assumed else {})}


def mapping(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> dict[str, Any]:
    """Of exactly these keys."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def listed(items: Schema, **extra: Any) -> dict[str, Any]:
    """A list that holds something, and nothing twice."""
    return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True, **extra}


def _part(properties: Mapping[str, Schema]) -> dict[str, Any]:
    """A mapping that may be left out."""
    return {**mapping(properties), "default": {}}


_RESOURCES = {
    "gpus": key(
        "GPUs that one training is computed on, sharing its batch evenly; 0: on the CPU. They are asked of the cluster's "
        "scheduler, or without one taken from this machine's free ones. Like all of `resources`, no part of what a run is",
        {"type": "integer", "minimum": 0, "maximum": 1024, "default": 0},
        example=1,
    ),
    "cpus": key(
        "threads of a job; for streamed images, processes that decode them", COUNT, maximum=4096, default=1, example=4
    ),
    "memory_gb": key(
        "main memory of a job, asked of a scheduler; half as much again after a training that was killed",
        {"type": "number", "minimum": 0.1, "maximum": 100_000, "default": 4.0},
        example=32,
    ),
    "hours": key(
        "time of one training's job, asked of a scheduler; a training that takes longer goes on in the next job (`retries` in "
        "the profile)",
        {"type": "number", "exclusiveMinimum": 0, "maximum": _YEARS, "default": 1.0},
        example=24,
    ),
}

_OPTIMIZER = {
    "learning_rate": key("peak of the schedule", {"type": "number", "exclusiveMinimum": 0}, example=0.1),
    "momentum": key(
        "momentum of SGD", {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9}, example=0
    ),
    "nesterov": key("Nesterov momentum", _FLAG, default=True, example=False),
    "weight_decay": key(
        "λ: λθ is added to the method's direction, outside the penalised loss",
        _NOT_NEGATIVE,
        default=0.0,
        example=5e-4,
        assumed=True,
    ),
    "decayed": key(
        "which parameters decay; `kernels` are what features are multiplied with, by name: no biases (those of "
        "attention, which have two axes, neither), nothing of normalisation layers, and not the ViT's embedding of positions; "
        "`not_normalization` are all but scales and biases of normalisation layers",
        {"enum": ["all", "kernels", "not_normalization"], "default": "all"},
        example="kernels",
        assumed=True,
    ),
    "reference_batch_size": key(
        "the learning rate is for so many examples a step, and scaled in proportion to `batch_size`; null: it is for a "
        "batch as it is",
        _COUNT_OR_NULL,
        example=256,
    ),
    "warmup_epochs": key(
        "length of the linear warm-up, rounded to whole steps; may be a fraction, may not exceed `epochs`",
        _NOT_NEGATIVE,
        default=0.0,
        example=0.5,
    ),
    "warmup_from": key(
        "the share of the peak that the warm-up begins at, in the first step; at 0 that step moves nothing yet",
        _NOT_NEGATIVE,
        maximum=1,
        default=0.0,
        example=0.25,
    ),
    "clip_norm": key(
        "largest norm of the method's direction, before decay; null does not clip",
        {"type": ["number", "null"], "exclusiveMinimum": 0, "default": None},
        example=1.0,
        assumed=True,
    ),
}

_TRAINING = {
    "epochs": key("passes over the training examples", COUNT, example=50),
    "batch_size": key(
        "examples a step; those that fill no batch wait for the next epoch's order (assumed)", COUNT, example=128
    ),
    "accumulate": key(
        "parts that a batch is split into and that are taken one after another, for less memory; divides `batch_size`. A "
        "method's perturbation or penalty, and BatchNorm, are of a part",
        COUNT,
        default=1,
        example=4,
    ),
    "batch_norm_group": key(
        "examples that BatchNorm normalises together; divides a batch, or its part, and a method's `m`; null: all that "
        "are taken at once. One example at once is refused where it gives BatchNorm a single value of a feature, which "
        "it would make 0: with `mlp`, and where strides leave an image or sequence one position. Else it is normalised "
        "over its positions",
        _COUNT_OR_NULL,
        example=32,
        assumed=True,
    ),
    "precision": key(
        "of what a model computes; parameters and losses are always float32, and so is the difference that `psam_fd` takes, by "
        "two gradients more: rounding would leave nothing of it",
        {"enum": ["float32", "bfloat16"], "default": "float32"},
        example="bfloat16",
    ),
    "evaluate_every": key(
        "epochs between two evaluations on all sets; always done before the first step and after the last",
        COUNT,
        default=10,
        example=1,
    ),
    "evaluate_last": key(
        "evaluations after each of the last so many epochs, of which `median_last` is the median",
        {"type": "integer", "minimum": 0, "maximum": COUNTED, "default": 5},
        example=1,
    ),
    "evaluate_train": key("so many training examples are evaluated; null: all", _COUNT_OR_NULL, example=50000),
    "snapshots": key(
        "steps after which the parameters are kept, for measurements along training. They are part of a run's "
        "identity, so give a setup of its own to the few runs that need them",
        {"type": "array", "items": COUNT, "uniqueItems": True, "default": []},
        example=[1, 10, 100],
    ),
}

SETUP = mapping(
    {
        "title": key("how figures call the setup; without one, by its name", TITLE, example="1-D ResNet"),
        "device_hours": key(
            "estimate of one training by SGD on one device, for `python -m nmepkg status` alone, until runs alike are "
            "finished. No part of what a run is",
            {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": _YEARS, "default": None},
            example=3,
        ),
        "device": key(
            "on which device that is", {"type": ["string", "null"], "maxLength": 300, "default": None}, example="A100"
        ),
        "resources": _part(_RESOURCES),
        "runs_per_job": key(
            "runs that one job trains, or measures, one after another in one process, where that is short for starting one. "
            "Each run stays its own result, log and failure, and is to the bit what it would be alone",
            COUNT,
            maximum=10_000,
            default=1,
            example=8,
        ),
        "data": key("a [data set](#data-sets)", ENTRY, example={"name": "mnist1d", "seed": 42, "samples": 5000}),
        "validation": _part(
            {
                "fraction": key(
                    "share of the training examples held out. 0 keeps all; there are no validation numbers then",
                    {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.1},
                    example=0,
                    assumed=True,
                ),
                "seed": key(
                    "which examples are held out, the same for every run of the setup; and which a `subset` keeps",
                    SEED_KEY,
                    default=0,
                    example=1,
                ),
            }
        ),
        "subset": _part(
            {
                "train": key(
                    "so many of the training examples that are left; null: all", _COUNT_OR_NULL, example=12000
                ),
                "test": key("so many of the test examples; null: all", _COUNT_OR_NULL, example=1000),
            }
        ),
        "label_noise": _part(
            {
                "fraction": key(
                    "share of the labels to train with, validation examples taken out, that are replaced by another class, all "
                    "as likely. Training, `train_loss`, `train_accuracy` and measurements of `train` are of the labels so "
                    "replaced; those of validation and test stay true",
                    _NOT_NEGATIVE,
                    maximum=1,
                    default=0.0,
                    example=0.2,
                ),
                "seed": key(
                    "which labels, and what they become: the same for every run of the setup. A larger share has the wrong "
                    "labels of a smaller one, and more",
                    SEED_KEY,
                    default=0,
                    example=1,
                ),
            }
        ),
        "augmentation": key(
            "how images vary from epoch to epoch: `none`; `pad_crop_flip` for images that lie on the device; "
            "`resized_crop_flip` for those that are streamed",
            ENTRY,
            default="none",
            example={"name": "pad_crop_flip", "padding": 2, "flip": False},
        ),
        "model": key("one of the [models](#models)", ENTRY, example={"name": "mlp", "width": 128, "depth": 3}),
        "loss": key(
            "what training minimises and measurements are of: `cross_entropy` or `mse`. Evaluations (`train_loss`, "
            "`validation_loss`, `test_loss`; the model in evaluation mode) take the labels as they are, never "
            "smoothed, so that setups compare",
            ENTRY,
            default="cross_entropy",
            example={"name": "cross_entropy", "label_smoothing": 0.1},
        ),
        "optimizer": mapping(_OPTIMIZER, ["learning_rate"]),
        "training": mapping(_TRAINING, ["epochs", "batch_size"]),
    },
    ["data", "model", "optimizer", "training"],
)

_STRENGTH = "required if a method takes it, else refused. The grid is assumed"
EXPERIMENT = mapping(
    {
        "setups": key("from above", listed({"type": "string"}), example=["mlp", "resnet"]),
        "methods": key("see [below](#methods-and-activations)", listed(ENTRY), example=["sam", "psam"]),
        "activations": key("see [below](#methods-and-activations)", listed(ENTRY), example=["gelu", "relu"]),
        "rho": key(
            f"strengths ρ of SAM and gradient penalties; {_STRENGTH}", listed(_NOT_NEGATIVE), example=[0, 0.03, 0.1]
        ),
        "sigma2": key(
            f"strengths σ² of weight noise and trace penalties; {_STRENGTH}",
            listed(_NOT_NEGATIVE),
            example=[0, 1e-4, 1e-3],
        ),
        "seeds": key(
            "of initialisation, order of batches and a method's noise; one run each",
            listed(SEED_KEY),
            example=[0, 1, 2],
        ),
        "measurements": key(
            "what is measured of every run, from below",
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "default": []},
            example=["traces"],
        ),
    },
    ["setups", "methods", "activations", "seeds"],
)

# What every measurement has, besides the options of its kind.
MEASUREMENT: dict[str, Schema] = {
    "at": key(
        "`initial` (before the first step), `final`, and steps, which the setup must keep as `training.snapshots`",
        listed({"anyOf": [{"enum": ["initial", "final"]}, COUNT]}, default=["final"]),
        example=["initial", 100, "final"],
    ),
    "split": key("of which examples", {"enum": ["train", "validation", "test"], "default": "train"}, example="test"),
    "examples": key(
        "how many of them, the first of a permutation; null, and where there are fewer: all. They are not augmented",
        _COUNT_OR_NULL,
        default=1024,
        example=256,
        assumed=True,
    ),
    "batch_size": key(
        "the loss is the mean over batches of this size, each normalised by itself; null: what a training step takes at once "
        "and normalises together (below). What fills no batch is left out",
        _COUNT_OR_NULL,
        example=128,
    ),
    "batch_norm": key(
        "`train`: BatchNorm with the statistics of the examples that are normalised together, differentiated through, as in a "
        "step; `evaluate`: with the running averages",
        {"enum": ["train", "evaluate"], "default": "train"},
        example="evaluate",
        assumed=True,
    ),
    "seed": key("of the examples and of random probes", SEED_KEY, default=0, example=1),
}
