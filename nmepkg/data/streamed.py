"""A data set whose images are read from their source while a training goes on, with the split of a run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmepkg.data.splits import Split, split
from nmepkg.data.store import Scaling, read_description, read_prepared
from nmepkg.data.stream import Stream, open_stream
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256
from nmepkg.specs import Recipe

# Mean and standard deviation of ImageNet's pixels, as they are used everywhere (fb.resnet.torch, torchvision).
SCALING = Scaling(*np.asarray([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32))
_PART = {"train": "train", "validation": "train", "test": "test"}  # which part of the source a set is of


class StreamedDataset(NamedTuple):
    """What :class:`nmepkg.data.store.Dataset` is for arrays; ``split`` says which examples of the stream are in which set."""

    stream: Stream
    split: Split
    classes: int
    sha256: str
    scaling: Scaling

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Examples of the three sets."""
        return len(self.split.train), len(self.split.validation), len(self.split.test)

    @property
    def example(self) -> np.ndarray:
        """One input (1, …) as it is stored, for its shape and type."""
        return np.zeros((1, self.stream.size, self.stream.size, 3), np.uint8)

    def source_of(self, name: str) -> tuple[str, np.ndarray]:
        """The part of the stream that a set is of, and its places there."""
        return _PART[name], getattr(self.split, name)

    def take(self, name: str, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs as a model sees them in an evaluation and labels of some examples of a set, by their place in it."""
        part, indices = self.source_of(name)
        x, y = self.stream.take(part, indices[places])
        return self.scaling(x), y


def read(path: Path, recipe: Recipe, source: Path | None) -> StreamedDataset:
    """Opens a data set to stream from, if it is the one that was prepared, and splits it as a run's recipe has it.

    Args:
      path: of what was prepared (.npz): labels, and what the source's files are.
      recipe: of the run.
      source: folder that the study's ``sources`` names.

    Raises:
      UserError: a file is missing, damaged or of another data set, or the split is not possible.
    """
    if source is None:
        raise UserError(f"{recipe.data.name}: is streamed; name its folder under 'sources' of the study")
    arrays = read_prepared(path)
    sha256 = arrays_sha256(arrays)
    description = read_description(path, sha256)
    stream = open_stream(source, arrays, recipe.data.options["size"], recipe.data.options["resize"])
    parts = split(recipe.validation, recipe.subset, *(len(arrays[f"{part}_y"]) for part in ("train", "test")))
    return StreamedDataset(stream, parts, description["classes"], sha256, SCALING)
