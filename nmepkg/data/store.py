"""Prepared data on disk: arrays with their hash, checked on every read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmepkg import records
from nmepkg.data.label_noise import with_noise
from nmepkg.data.splits import split
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256, read_arrays, written_whole
from nmepkg.specs import Recipe

KIND = records.Kind("description of prepared data", 3, "delete both files of this data set to prepare it again")
ARRAYS = ("train_x", "train_y", "test_x", "test_y")


class Scaling(NamedTuple):
    """What turns pixels into inputs of a model: (x/255 − mean)/std, per channel."""

    mean: np.ndarray
    std: np.ndarray

    def __call__(self, pixels: Any) -> Any:
        """(…, C) uint8, of NumPy or JAX, to float32."""
        return (pixels.astype(np.float32) / np.float32(255) - self.mean) / self.std


class Dataset(NamedTuple):
    """Arrays of one data set, the validation split carved from the training examples.

    ``x`` are inputs (N, …), ``y`` integer labels (N,); ``sha256`` is that of the arrays on disk. Images stay bytes: ``scaling``
    is for where they are used; None where inputs are used as they are.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: int
    sha256: str
    scaling: Scaling | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Examples of the three sets."""
        return len(self.train[1]), len(self.validation[1]), len(self.test[1])

    @property
    def example(self) -> np.ndarray:
        """One input (1, …) as it is stored, for its shape and type."""
        return self.train[0][:1]

    def take(self, name: str, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs as a model sees them and labels of some examples of a set, by their place in it."""
        x, y = getattr(self, name)
        return (self.scaling or (lambda x: x))(x[places]), y[places]


def write(path: Path, arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any], code: str) -> None:
    """Writes the arrays to ``path`` (.npz) and beside it (.json) what they are and their hash, the arrays last.

    Nothing is written in place: whoever sees ``path`` sees all of it.
    """
    images = arrays.get("train_x")  # none of data that are streamed
    description = {
        "spec": dict(spec),
        "code": code,
        "arrays": arrays_sha256(arrays),
        "classes": int(max(arrays["train_y"].max(), arrays["test_y"].max())) + 1,
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "examples_per_class": {split: np.bincount(arrays[f"{split}_y"]).tolist() for split in ("train", "test")},
        "pixels": pixel_statistics(images) if images is not None and images.dtype == np.uint8 else None,
        "numpy": np.__version__,
    }
    records.write(path.with_suffix(".json"), KIND, description)
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def pixel_statistics(images: np.ndarray) -> dict[str, list[float]]:
    """``mean`` and ``std`` of each channel over (N, H, W, C) uint8, in units of 255, by counting; std 1 where all are equal."""
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    levels = np.arange(256) / 255
    mean = counts @ levels / counts.sum(axis=1)
    variance = np.sum(counts * np.square(levels - mean[:, None]), axis=1) / counts.sum(axis=1)
    return {"mean": mean.tolist(), "std": np.sqrt(np.where(variance > 0, variance, 1)).tolist()}


def read_description(path: Path, sha256: str) -> dict[str, Any]:
    """What :func:`write` wrote of the arrays with this hash.

    Raises:
      UserError: the description is missing, damaged or of other arrays.
    """
    return records.read(path.with_suffix(".json"), KIND, {"arrays": sha256})


def read_prepared(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that :func:`write` wrote.

    Raises:
      UserError: the file is missing or not readable.
    """
    try:
        return read_arrays(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run snakemake to prepare the data") from None
    except ValueError as error:
        raise KIND.refuse(path, f"not readable ({error})") from None


def read(path: Path, recipe: Recipe, source: Path | None = None) -> Dataset:
    """Reads and checks prepared data, and splits them as a run's recipe has it: see :func:`nmepkg.data.splits.split`.

    Of the labels to train with, those are wrong that :func:`nmepkg.data.label_noise.with_noise` makes so.

    Args:
      path: of the arrays (.npz).
      recipe: of the run.
      source: not used; where data were prepared from.

    Raises:
      UserError: a file is missing, truncated or not what its hash says, or the split is not possible.
    """
    found = read_prepared(path)
    if missing := sorted(set(ARRAYS) - set(found)):
        raise KIND.refuse(path, f"not readable (no {missing[0]})")
    arrays = {name: found[name] for name in ARRAYS}
    sha256 = arrays_sha256(arrays)
    description = read_description(path, sha256)
    kept, out, tested = split(recipe.validation, recipe.subset, len(arrays["train_y"]), len(arrays["test_y"]))
    pixels, classes = description["pixels"], description["classes"]
    return Dataset(
        train=(arrays["train_x"][kept], with_noise(arrays["train_y"][kept], recipe.label_noise, classes)),
        validation=(arrays["train_x"][out], arrays["train_y"][out]),
        test=(arrays["test_x"][tested], arrays["test_y"][tested]),
        classes=classes,
        sha256=sha256,
        scaling=pixels and Scaling(*(np.asarray(pixels[key], np.float32) for key in ("mean", "std"))),
    )
