"""What optimisers make of a direction, by hand in NumPy: of one leaf, with a memory of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Memory = dict[str, Any]


def sgd(memory: Memory, d: np.ndarray, decay: Any, t: int, *, momentum: float, nesterov: bool) -> np.ndarray:
    """Sutskever et al. 2013; ``decay`` is λθ, and ``t`` = 1, 2, … counts steps."""
    d = d + decay
    memory["u"] = momentum * memory.get("u", 0) + d
    return d + momentum * memory["u"] if nesterov else memory["u"]


def adam(memory: Memory, d: np.ndarray, decay: Any, t: int, **options: Any) -> np.ndarray:
    """Kingma & Ba 2015, algorithm 1, with decay in the gradient."""
    return _scaled(memory, d + decay, t, **options)


def adamw(memory: Memory, d: np.ndarray, decay: Any, t: int, **options: Any) -> np.ndarray:
    """Loshchilov & Hutter 2019, algorithm 2, with the learning rate before both terms."""
    return _scaled(memory, d, t, **options) + decay


def _scaled(memory: Memory, d: np.ndarray, t: int, *, b1: float, b2: float, eps: float, nesterov: bool) -> np.ndarray:
    m = memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * d
    v = memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * d * d
    mean = m / (1 - b1**t)
    if nesterov:  # Dozat 2016
        mean = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * d / (1 - b1**t)
    return mean / (np.sqrt(v / (1 - b2**t)) + eps)


RECURRENCES: dict[str, Callable[..., np.ndarray]] = {"sgd": sgd, "adam": adam, "adamw": adamw}
