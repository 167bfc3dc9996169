"""MNIST-1D (Greydanus 2020): ten classes of noisy signals of 40 positions, made by its package without a download."""

from __future__ import annotations

from typing import Any

import numpy as np


def prepare(seed: int, samples: int, test: int | None = None) -> dict[str, np.ndarray]:
    """The data set as its package makes it, with a test set of another size if asked for.

    The package makes 80 % training and 20 % test examples and standardises them together, x = (raw − mean(raw)) / std(raw).
    More test examples are raw sequences of its generator from another seed, ``seed`` with the highest of its 32 bits flipped,
    shifted and scaled by the numbers of the first draw. They come after the package's own, and change nothing else.

    Args:
      seed: of NumPy's global generator, which the package draws from (42 is the published data set).
      samples: training and test examples of the package together, a multiple of the 10 classes.
      test: test examples. Fewer than ``samples`` / 5 are the first of the package's; None: all of these.

    Returns:
      ``train_x`` (N, 40) float32, ``train_y`` (N,) int32, and the same for ``test``.
    """
    from mnist1d.data import make_dataset

    made = make_dataset(_arguments(seed, samples))
    test_x, test_y = made["x_test"][:test], made["y_test"][:test]
    more = 0 if test is None else test - len(test_y)
    if more:
        first, _ = _raw(seed, samples)  # the package doesn't tell its mean
        x, y = _raw(seed ^ 2**31, more + -more % 10)
        drawn = np.random.default_rng(seed).permutation(len(y))[:more]
        test_x = np.concatenate([test_x, (x[drawn] - first.mean()) / first.std()])
        test_y = np.concatenate([test_y, y[drawn]])
    return {
        "train_x": made["x"].astype(np.float32),
        "train_y": made["y"].astype(np.int32),
        "test_x": test_x.astype(np.float32),
        "test_y": test_y.astype(np.int32),
    }


def _arguments(seed: int, samples: int) -> Any:
    from mnist1d.data import get_dataset_args

    arguments = get_dataset_args()
    arguments.seed, arguments.num_samples = seed, samples
    return arguments


def _raw(seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """What the package's ``make_dataset`` draws first, class by class, neither shuffled nor scaled: (N, 40), labels (N,)."""
    from mnist1d.data import get_templates
    from mnist1d.transform import transform
    from mnist1d.utils import set_seed

    arguments, templates = _arguments(seed, samples), get_templates()
    set_seed(seed)
    each = samples // len(templates["y"])
    drawn = [transform(x, templates["t"], arguments)[0] for x in templates["x"] for _ in range(each)]
    return np.stack(drawn), np.repeat(templates["y"], each)
