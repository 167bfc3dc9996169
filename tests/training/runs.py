"""Tiny specs and data for the tests of training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nmepkg.data import store
from nmepkg.data.store import Dataset
from nmepkg.registry import METHODS
from nmepkg.specs import recipe
from nmepkg.training.optimizer import hyperparameters
from nmepkg.training.step import make_program

CLASSES = 3

# Tiny programs run once or twice: they are compiled without optimisation, in half the time.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

_BASE: dict[str, Any] = {
    "data": {"name": "mnist1d", "seed": 42, "samples": 500},
    "validation": {"fraction": 0.2, "seed": 0},
    "subset": {"train": None, "test": None},
    "label_noise": {"fraction": 0.0, "seed": 0},
    "augmentation": {"name": "none"},
    "model": {"name": "mlp", "width": 4, "depth": 1, "batch_norm": True},
    "activation": {"name": "gelu", "second_derivative": None},
    "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
    "method": {"name": "sgd", "strength": 0.0},
    "optimizer": {
        "name": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
        "decayed": "all",
        "decay_in_loss": False,
        "reference_batch_size": None,
        "warmup_epochs": 1.0,
        "warmup_from": 1 / 3,
        "clip_norm": None,
    },
    "training": {
        "epochs": 3,
        "batch_size": 8,
        "accumulate": 1,
        "batch_norm_group": None,
        "precision": "float32",
        "matmul_precision": "float32",
        "deterministic": False,
        "evaluate_every": 2,
        "evaluate_last": 1,
        "evaluate_train": None,
    },
    "seed": 0,
}


def make_spec(**changes: Any) -> dict[str, Any]:
    """The base spec with some of its values replaced: ``model={"width": 8}`` changes the width alone."""
    spec = {key: dict(value) if isinstance(value, Mapping) else value for key, value in _BASE.items()}
    for key, value in changes.items():
        spec[key] = {**spec[key], **value} if isinstance(value, Mapping) else value
    return spec


def adamw(**changes: Any) -> dict[str, Any]:
    """An optimizer of a spec, with the schedule and decay of the base spec's."""
    shared = {key: value for key, value in _BASE["optimizer"].items() if key not in ("name", "momentum", "nesterov")}
    own = {"b1": 0.8, "b2": 0.95, "eps": 1e-8, "nesterov": False}
    return {**shared, "name": "adamw", "learning_rate": 0.02, "weight_decay": 0.1, **own, **changes}


def method(name: str, strength: float) -> dict[str, Any]:
    """A method of the registry with its default options, and p = 1.5 for the one without a default."""
    options = {key: schema.get("default", 1.5) for key, schema in METHODS[name].options.items()}
    return {"name": name, "strength": strength, **options}


@cache
def dataset(train: int = 27, validation: int = 6, test: int = 9) -> Dataset:
    """Gaussian inputs of 5 features whose label is the largest of the first three."""
    rng = np.random.default_rng(0)

    def part(size: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(size, 5)).astype(np.float32)
        return x, x[:, :CLASSES].argmax(1).astype(np.int32)

    return Dataset(part(train), part(validation), part(test), CLASSES, "0" * 64)


def start(spec: Mapping[str, Any], data: Dataset) -> tuple[Any, Any, Any]:
    """(program, state at the beginning of the first epoch, hyper-parameters) of a spec."""
    program = make_program(recipe(spec), data.classes, data.sizes[0], data.scaling)
    hyper = hyperparameters(recipe(spec), len(data.train[0]))
    # Not compiled: single operations are compiled once for all specs.
    state = program.init(np.uint32(spec["seed"]), hyper, data.example)
    return program, program.begin_epoch(state), hyper


def prepared(folder: Path) -> Path:
    """The toy data, as a file of prepared data."""
    path, toy = folder / "toy.npz", dataset()
    arrays = {"train_x": toy.train[0], "train_y": toy.train[1], "test_x": toy.test[0], "test_y": toy.test[1]}
    store.write(path, arrays, {"name": "toy"}, code="da7a")
    return path
