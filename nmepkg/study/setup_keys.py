"""The keys of a setup: JSON Schema fragments, as those of :mod:`nmepkg.study.keys`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nmepkg.entries import COUNTED, Schema
from nmepkg.study.keys import COUNT, COUNT_OR_NULL, ENTRY, NOT_NEGATIVE, SEED_KEY, TITLE, key, mapping

_FLAG = {"type": "boolean"}
_YEARS = 100_000  # hours


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

# What every optimiser has, besides the options of its own.
OPTIMIZER: dict[str, Schema] = {
    "learning_rate": key("peak of the schedule", {"type": "number", "exclusiveMinimum": 0}, example=0.1),
    "weight_decay": key(
        "λ: λθ is added to the method's direction, outside the penalised loss; by `adamw` to what is made of that. Or see "
        "`decay_in_loss`",
        NOT_NEGATIVE,
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
    "decay_in_loss": key(
        "whether ½ λ ‖θ‖² of the parameters that decay is a part of the loss that a method perturbs or penalises, and that "
        "`clip_norm` bounds the gradient of; `adamw` is `adam` then. G has λ more on its diagonal, and N is what it was. "
        "Recorded losses and measurements are without it. `gn_trace` and `gn_trace_exact`, which know cross-entropy alone, "
        "are refused",
        _FLAG,
        default=False,
        example=True,
        assumed=True,
    ),
    "reference_batch_size": key(
        "the learning rate is for so many examples a step, and scaled in proportion to `batch_size`; null: it is for a "
        "batch as it is",
        COUNT_OR_NULL,
        example=256,
    ),
    "warmup_epochs": key(
        "length of the linear warm-up, rounded to whole steps; may be a fraction, may not exceed `epochs`",
        NOT_NEGATIVE,
        default=0.0,
        example=0.5,
    ),
    "warmup_from": key(
        "the share of the peak that the warm-up begins at, in the first step; at 0 that step moves nothing yet",
        NOT_NEGATIVE,
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
        "parts of a batch that are taken one after another, for the memory of one, at the price of a forward pass more a gradient; "
        "divides `batch_size`. The numbers are those of the whole batch. With BatchNorm, say what it normalises: `batch_norm_group`",
        COUNT,
        default=1,
        example=4,
    ),
    "batch_norm_group": key(
        "examples that BatchNorm normalises together; divides a batch, or its part, and a method's `m`; null: the whole "
        "batch, or a method's group. One example at once is refused where it gives BatchNorm a single value of a feature, which "
        "it would make 0: with `mlp`, and where strides leave an image or sequence one position. Else it is normalised "
        "over its positions",
        COUNT_OR_NULL,
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
    "evaluate_train": key("so many training examples are evaluated; null: all", COUNT_OR_NULL, example=50000),
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
                "train": key("so many of the training examples that are left; null: all", COUNT_OR_NULL, example=12000),
                "test": key("so many of the test examples; null: all", COUNT_OR_NULL, example=1000),
            }
        ),
        "label_noise": _part(
            {
                "fraction": key(
                    "share of the labels to train with, validation examples taken out, that are replaced by another class, all "
                    "as likely. Training, `train_loss`, `train_accuracy` and measurements of `train` are of the labels so "
                    "replaced; those of validation and test stay true",
                    NOT_NEGATIVE,
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
        "optimizer": key(
            "`name`, `sgd` where there is none, what all [optimisers](#optimisers) have, and options",
            {"type": "object", "title": "mapping"},
            example={"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1},
        ),
        "training": mapping(_TRAINING, ["epochs", "batch_size"]),
    },
    ["data", "model", "optimizer", "training"],
)
