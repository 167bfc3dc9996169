"""MNIST-1D (Greydanus 2020): ten classes of noisy signals of 40 positions, made by its package without a download."""

from __future__ import annotations

import numpy as np


def prepare(seed: int, samples: int) -> dict[str, np.ndarray]:
    """The data set: 80 % training, 20 % test examples, standardised as a whole, as its package makes it.

    Args:
      seed: of NumPy's global generator, which the package draws from (42 is the published data set).
      samples: training and test examples together, a multiple of the 10 classes.

    Returns:
      ``train_x`` (N, 40) float32, ``train_y`` (N,) int32, and the same for ``test``.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    arguments = get_dataset_args()
    arguments.seed, arguments.num_samples = seed, samples
    made = make_dataset(arguments)
    return {
        "train_x": made["x"].astype(np.float32),
        "train_y": made["y"].astype(np.int32),
        "test_x": made["x_test"].astype(np.float32),
        "test_y": made["y_test"].astype(np.int32),
    }
