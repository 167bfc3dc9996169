"""Prepared data on disk: arrays with their hash, checked on every read, and the split of the training set."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmepkg.errors import UserError
from nmepkg.files import written_whole

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


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values of the arrays."""
    hashed = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        hashed.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        hashed.update(array.tobytes())
    return hashed.hexdigest()


def write(path: Path, arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> None:
    """Writes the arrays to ``path`` (.npz) and beside it (.json) what they are and their hash, the arrays last.

    Nothing is written in place: whoever sees ``path`` sees all of it.
    """
    description = {
        "spec": dict(spec),
        "sha256": digest(arrays),
        "classes": int(max(arrays["train_y"].max(), arrays["test_y"].max())) + 1,
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "examples_per_class": {split: np.bincount(arrays[f"{split}_y"]).tolist() for split in ("train", "test")},
        "numpy": np.__version__,
    }
    with written_whole(path.with_suffix(".json")) as file:
        file.write(json.dumps(description, indent=1).encode() + b"\n")
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read(path: Path, fraction: float, seed: int) -> Dataset:
    """Reads and checks prepared data, and splits ``fraction`` of the training examples off for validation.

    The split is a permutation of the training examples drawn from ``seed``; every run of a setup has the same one.

    Raises:
      UserError: a file is missing, truncated or not what its hash says, or the split leaves no examples to train on.
    """
    sidecar = path.with_suffix(".json")
    try:
        description = json.loads(sidecar.read_text())
        sha256, classes = description["sha256"], description["classes"]
        with np.load(path) as file:
            arrays = {name: file[name] for name in ARRAYS}
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; run snakemake to prepare the data") from None
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and {sidecar.name} to prepare the data again") from None
    if digest(arrays) != sha256:
        raise UserError(f"{path}: does not match its hash; delete it and {sidecar.name} to prepare the data again")

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
