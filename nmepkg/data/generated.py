"""Examples drawn from a generator, which need no download: to try a study or a cluster, not to learn anything from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def prepare(shape: Sequence[int], classes: int, train: int, test: int, seed: int) -> dict[str, np.ndarray]:
    """Noise around one random example a class.

    Args:
      shape: of an example, (H, W, C) of an image.
      classes: number of labels, each as often as the others, but for one.
      train, test: numbers of examples.
      seed: of all that is drawn.

    Returns:
      ``train_x`` (N, H, W, C) uint8 of images, or (N, …) float32, ``train_y`` (N,) int32, and the same for ``test``.
    """
    rng = np.random.default_rng(seed)
    means = rng.integers(64, 192, size=(classes, *shape))
    arrays = {}
    for split, count in (("train", train), ("test", test)):
        labels = rng.permutation(np.arange(count, dtype=np.int32) % classes)
        noise = rng.integers(-48, 49, size=(count, *shape))
        drawn = (means[labels] + noise).astype(np.uint8)
        arrays[f"{split}_x"], arrays[f"{split}_y"] = drawn if len(shape) == 3 else drawn / np.float32(128) - 1, labels
    return arrays
