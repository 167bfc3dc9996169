"""Wrong labels among those that are trained with."""

from __future__ import annotations

import numpy as np

from nmepkg.errors import UserError
from nmepkg.specs import LabelNoise


def with_noise(labels: np.ndarray, noise: LabelNoise, classes: int) -> np.ndarray:
    """The labels (N,) with round(fraction · N) of them replaced, each by one of the other classes, all as likely.

    A larger fraction with the same seed has the wrong labels of a smaller one, and more.

    Args:
      labels: of the training examples, validation examples taken out.
      noise: of the setup.
      classes: number of labels.

    Raises:
      UserError: labels are to be replaced, and there is no other class.

    Example:
      >>> import numpy as np
      >>> from nmepkg.data.label_noise import with_noise
      >>> from nmepkg.specs import LabelNoise
      >>> labels = np.array([0, 1, 1, 0])
      >>> int(np.sum(with_noise(labels, LabelNoise(0.5, 0), 2) != labels))
      2
    """
    if noise.fraction == 0:
        return labels
    if classes < 2:
        raise UserError(f"label_noise.fraction: {noise.fraction} of labels of one class cannot be wrong; set it to 0")
    # Seeds of two numbers are those of no split that has the same one.
    generator = np.random.default_rng([noise.seed, 2])
    wrong = generator.permutation(len(labels))[: round(noise.fraction * len(labels))]
    further = generator.integers(1, classes, len(labels))  # classes on, around the end
    noisy = labels.copy()
    noisy[wrong] = (labels[wrong] + further[wrong]) % classes
    return noisy
