"""How far what a library gives is from the exact numbers, relative to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

Draw = Callable[[int], Any]  # number of a draw -> what is given


def of_products(found: np.ndarray, exact: np.ndarray) -> float:
    """‖A v − exact‖ / ‖exact‖, of all vectors together."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def of_task(task: str, value: Draw, hessian: np.ndarray, draws: int) -> float:
    """Of a random estimate, given the dense Hessian: the root mean square over draws of the relative error.

    A density's error is the distance (Wasserstein-1) of its quadrature from the spectrum, in units of the Hessian's norm.
    """
    spectrum = np.linalg.eigvalsh(hessian)

    def error(found: Any) -> float:
        if task == "trace of H":
            return float(found / np.trace(hessian) - 1)
        if task == "top eigenvalue":
            return float(found / spectrum[-1] - 1)
        values, weights = (np.asarray(x, np.float64) for x in found)
        return float(wasserstein_distance(values, spectrum, np.abs(weights)) / np.abs(spectrum).max())

    return float(np.sqrt(np.mean([error(value(draw)) ** 2 for draw in range(draws)])))
