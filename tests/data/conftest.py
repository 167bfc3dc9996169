"""A tiny ImageNet, prepared once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

CLASSES = (0, 3, 500, 999)  # of a thousand
TRAIN, VALIDATION = 44, 7
SIZE = 24


class Tiny(NamedTuple):
    """Where it is, what :func:`nmepkg.data.imagenet.prepare` gave, and JPEG -> label of what went into it."""

    source: Path
    arrays: dict[str, np.ndarray]
    train: dict[bytes, int]
    validation: dict[bytes, int]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    for module in ("tensorflow", "tensorflow_datasets", "array_record", "grain", "PIL"):
        pytest.importorskip(module, reason="prepares and streams ImageNet; install nmepkg[prepare]")
    from nmepkg.data import imagenet
    from tests.data import photographs

    rng = np.random.default_rng(0)
    names, labels = photographs.synsets(), {name: number for number, name in enumerate(photographs.synsets())}
    train = {
        names[label]: [
            photographs.jpeg(rng, 40 + 3 * k, 60 - 2 * k, "L" if k == 4 else "RGB")
            for k in range(TRAIN // len(CLASSES))
        ]
        for label in CLASSES
    }
    validation = [photographs.jpeg(rng, 50 + 10 * k, 40) for k in range(VALIDATION)]
    source = photographs.build(tmp_path_factory.mktemp("imagenet"), train, validation)
    return Tiny(
        source,
        imagenet.prepare(source, SIZE, SIZE + 4, (TRAIN, VALIDATION)),
        {image: labels[name] for name, images in train.items() for image in images},
        {image: labels[name] for name, image in zip(photographs.validation_labels(), validation, strict=False)},
    )
