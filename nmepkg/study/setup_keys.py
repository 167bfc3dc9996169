"""The keys of a setup: JSON Schema fragments, as those of :mod:`nmepkg.study.keys`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nmepkg.entries import COUNTED, Schema
from nmepkg.study.keys import COUNT, COUNT_OR_NULL, ENTRY, NOT_NEGATIVE, SEED_KEY, TITLE, key, mapping

_FLAG = {"type": "boolean"}
_YEARS = 100_000  # hours


def _part(meaning: str, properties: Mapping[str, Schema]) -> dict[str, Any]:
    """A mapping that may be left out."""
    return {"description": meaning, **mapping(properties), "default": {}}


_RESOURCES = {
    "gpus": key(
        "GPUs that one training is computed on, sharing its batch evenly; 0: on the CPU. They are asked of the cluster's "
        "scheduler, or without one taken from this machine's free ones. Several runs share one by `runs_at_once`. Like all of "
        "`resources`, no part of what a run is",
        {"type": "integer", "minimum": 0, "maximum": 1024, "default": 0},
        example=1,
    ),
    "cpus": key(
        "threads of a training's job; for streamed images, processes that decode them. A measurement takes one GPU's share of "
        "these and of the memory",
        COUNT,
        maximum=4096,
        default=1,
        example=4,
    ),
    "memory_gb": key(
        "main memory of a job, asked of a scheduler; half as much again after a training that was killed",
        {"type": "number", "minimum": 0.1, "maximum": 100_000, "default": 4.0},
        example=32,
    ),
    "hours": key(
        "time of one training's job, asked of a scheduler, beside those that share its GPU; a training that takes longer goes "
        "on in the next job (`retries` in the profile)",
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
        "which parameters decay. `all`: every one. `not_normalization`: all but the scales and biases of normalisation layers. "
        "`kernels`: only the weights that multiply features, so no biases (attention's included), nothing in normalisation "
        "layers, and not the ViT's embedding of positions",
        {"enum": ["all", "kernels", "not_normalization"], "default": "all"},
        example="kernels",
        assumed=True,
    ),
    "decay_in_loss": key(
        "false: decay is added to the step after the method has done its work. true: ½ λ ‖θ‖², over the parameters that decay, "
        "is part of the loss. SAM then perturbs it, penalties penalise it, `clip_norm` bounds its gradient too, and `adamw` "
        "does what `adam` would. It adds λ to the diagonal of G and leaves N as it is. Recorded losses and measurements leave "
        "it out. Refused with `gn_trace` and `gn_trace_exact`, which are right for cross-entropy alone",
        _FLAG,
        default=False,
        example=True,
        assumed=True,
    ),
    "reference_batch_size": key(
        "the batch size for which `learning_rate` is meant; it is scaled in proportion to `batch_size`. null: "
        "not scaled",
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
        "where the warm-up begins, as a share of the peak; with 0 the first step changes nothing",
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
        "examples in a step; at the end of an epoch, examples that do not fill a batch are left out (assumed)",
        COUNT,
        example=128,
    ),
    "accumulate": key(
        "number of parts in which a batch is taken, one after another, so that memory is that of one part. It costs one more "
        "forward pass for each gradient, and results are those of the whole batch. Divides `batch_size`. With BatchNorm, "
        "say what it normalises: `batch_norm_group`",
        COUNT,
        default=1,
        example=4,
    ),
    "batch_norm_group": key(
        "examples that BatchNorm normalises together; divides a batch, or its part, and a method's `m`; null: the whole "
        "batch, or a method's group. A single example is normalised over its positions. It is refused where it has only one "
        "position, with `mlp` or after strides, as BatchNorm would make every feature 0",
        COUNT_OR_NULL,
        example=32,
        assumed=True,
    ),
    "precision": key(
        "precision in which the model computes. Parameters and losses are always float32. So is the difference "
        "of gradients in `psam_fd`, because rounding would leave nothing of it; that takes two more gradients",
        {"enum": ["float32", "bfloat16"], "default": "float32"},
        example="bfloat16",
    ),
    "matmul_precision": key(
        "what products of matrices, and convolutions, of float32 numbers are computed in, where a device is faster with less. "
        "`float32`: in full. `tensorfloat32`: a GPU since A100 rounds each factor to 11 significant bits. `bfloat16`: a TPU "
        "rounds to 8, a GPU as before. Sums are float32, and a CPU always computes in full. Results record what was used; "
        "measurements are always taken in full ([docs](../docs/precision.md))",
        {"enum": ["float32", "tensorfloat32", "bfloat16"], "default": "float32"},
        example="tensorfloat32",
        assumed=True,
    ),
    "deterministic": key(
        "whether a training that is repeated or resumed on as many GPUs of one kind gives the same bits: XLA then takes sums "
        "in a fixed order, and algorithms that it does not choose by timing them, which may be slower. A CPU does so anyway",
        _FLAG,
        default=False,
        example=True,
    ),
    "evaluate_every": key(
        "epochs between two evaluations on all sets; always done before the first step and after the last",
        COUNT,
        default=10,
        example=1,
    ),
    "evaluate_last": key(
        "how many epochs at the end are evaluated one by one; `median_last` is the median of these evaluations",
        {"type": "integer", "minimum": 0, "maximum": COUNTED, "default": 5},
        example=1,
    ),
    "evaluate_train": key("how many training examples are evaluated; null: all", COUNT_OR_NULL, example=50000),
}

SETUP = mapping(
    {
        "title": key("the setup's name in figures; by default its name here", TITLE, example="1-D ResNet"),
        "device_hours": key(
            "your estimate of one training by SGD on one device. `python -m nmepkg status` uses it until "
            "similar runs are finished; ids of runs do not depend on it",
            {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": _YEARS, "default": None},
            example=3,
        ),
        "device": key(
            "the device of that estimate",
            {"type": ["string", "null"], "maxLength": 300, "default": None},
            example="A100",
        ),
        "resources": _part("what a job needs", _RESOURCES),
        "runs_per_job": key(
            "how many runs one job trains, or measures, one after another in one process; useful where a run "
            "takes less time than starting a job. Each run keeps its own result, log and failure, and equals a "
            "run alone to the last bit",
            COUNT,
            maximum=10_000,
            default=1,
            example=8,
        ),
        "runs_at_once": key(
            "how many of them go side by side, each in a process of its own, where one alone leaves a GPU, or the cores of "
            "a node, idle. They share the job's `resources`: one GPU and a part of its memory each, and the `cpus`. May "
            "exceed neither `runs_per_job` nor `resources.cpus`",
            COUNT,
            maximum=1024,
            default=1,
            example=4,
        ),
        "data": key("a [data set](#data-sets)", ENTRY, example={"name": "mnist1d", "seed": 42, "samples": 5000}),
        "validation": _part(
            "training examples that are held out",
            {
                "fraction": key(
                    "share of the training examples that is held out for validation. With 0 nothing is held "
                    "out, and there are no validation numbers",
                    {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.1},
                    example=0,
                    assumed=True,
                ),
                "seed": key(
                    "decides which examples are held out, and which a `subset` keeps; the same for every run of "
                    "the setup",
                    SEED_KEY,
                    default=0,
                    example=1,
                ),
            },
        ),
        "subset": _part(
            "fewer examples than the data set has",
            {
                "train": key(
                    "number of training examples to use, of those that validation leaves; null: all",
                    COUNT_OR_NULL,
                    example=12000,
                ),
                "test": key("number of test examples to use; null: all", COUNT_OR_NULL, example=1000),
            },
        ),
        "label_noise": _part(
            "wrong labels to train with",
            {
                "fraction": key(
                    "share of the training labels, without validation examples, that is replaced by another "
                    "class, each equally likely. Training, `train_loss`, `train_accuracy` and measurements of "
                    "`train` use the replaced labels; labels of validation and test stay true",
                    NOT_NEGATIVE,
                    maximum=1,
                    default=0.0,
                    example=0.2,
                ),
                "seed": key(
                    "decides which labels are replaced, and by what; the same for every run of the setup. A "
                    "larger share contains the wrong labels of a smaller one",
                    SEED_KEY,
                    default=0,
                    example=1,
                ),
            },
        ),
        "augmentation": key(
            "how images vary from epoch to epoch: `none`; `pad_crop_flip` for images in the device's memory; "
            "`resized_crop_flip` for images that are streamed from disk",
            ENTRY,
            default="none",
            example={"name": "pad_crop_flip", "padding": 2, "flip": False},
        ),
        "model": key("one of the [models](#models)", ENTRY, example={"name": "mlp", "width": 128, "depth": 3}),
        "loss": key(
            "the loss that training minimises and measurements use: `cross_entropy` or `mse`. Evaluations "
            "(`train_loss`, `validation_loss`, `test_loss`; the model in evaluation mode) never smooth labels, "
            "so that setups can be compared",
            ENTRY,
            default="cross_entropy",
            example={"name": "cross_entropy", "label_smoothing": 0.1},
        ),
        "optimizer": key(
            "`name` (by default `sgd`), the keys that all [optimisers](#optimisers) have, and options of its own",
            {"type": "object", "title": "mapping"},
            example={"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1},
        ),
        "training": {
            "description": "how long, in what batches, and what is evaluated and kept on the way",
            **mapping(_TRAINING, ["epochs", "batch_size"]),
        },
    },
    ["data", "model", "optimizer", "training"],
)
