"""Prepared data on disk: arrays with their hash, checked on every read, and the split of the training set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256, read_arrays, written_whole

KIND = records.Kind("description of prepared data", 2, "delete both files of this data set to prepare it again")
ARRAYS = ("train_x", "train_y", "test_x", "test_y")


class Dataset(NamedTuple):
    """Arrays of one data set, the validation split carved from the training examples.

    ``x`` are inputs (N, …), ``y`` integer labels (N,); ``sha256`` is that of the arrays on disk.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: int
    sha256: str


def write(path: Path, arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any], code: str) -> None:
    """Writes the arrays to ``path`` (.npz) and beside it (.json) what they are and their hash, the arrays last.

    Nothing is written in place: whoever sees ``path`` sees all of it.
    """
    description = {
        "spec": dict(spec),
        "code": code,
        "arrays": arrays_sha256(arrays),
        "classes": int(max(arrays["train_y"].max(), arrays["test_y"].max())) + 1,
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "examples_per_class": {split: np.bincount(arrays[f"{split}_y"]).tolist() for split in ("train", "test")},
        "numpy": np.__version__,
    }
    records.write(path.with_suffix(".json"), KIND, description)
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read(path: Path, fraction: float, seed: int) -> Dataset:
    """Reads and checks prepared data, and splits ``fraction`` of the training examples off for validation.

    The split is a permutation of the training examples drawn from ``seed``; every run of a setup has the same one.

    Raises:
      UserError: a file is missing, truncated or not what its hash says, or the split leaves no examples to train on.
    """
    try:
        found = read_arrays(path)
        arrays = {name: found[name] for name in ARRAYS}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run snakemake to prepare the data") from None
    except (ValueError, KeyError) as error:
        raise KIND.refuse(path, f"not readable ({error})") from None
    sha256 = arrays_sha256(arrays)
    description = records.read(path.with_suffix(".json"), KIND, {"arrays": sha256})
    classes = description["classes"]

    x, y = arrays["train_x"], arrays["train_y"]
    held_out = round(fraction * len(x))
    if held_out >= len(x):
        raise UserError(f"validation.fraction: {fraction} leaves none of {len(x)} examples to train on")
    order = np.random.default_rng(seed).permutation(len(x))
    kept, out = np.sort(order[held_out:]), np.sort(order[:held_out])
    return Dataset(
        train=(x[kept], y[kept]),
        validation=(x[out], y[out]),
        test=(arrays["test_x"], arrays["test_y"]),
        classes=classes,
        sha256=sha256,
    )
