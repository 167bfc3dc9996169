"""Means over seeds and their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit


class Estimate(NamedTuple):
    """A mean of ``n`` values with the bounds of its interval; NaN where there is none."""

    n: int
    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float], level: float = 0.95) -> Estimate:
    """Mean and Student-t interval: x̄ ± t_{(1+level)/2, n−1} · s / √n, with s² = Σ(x − x̄)² / (n − 1).

    One value has a mean but no interval, no value has neither: the missing numbers are NaN. The interval assumes
    independent, normal values (seeds); it isn't cut off at the bounds that an accuracy has.

    Raises:
      ValueError: a value isn't finite; ``level`` isn't in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"every value must be finite, got {list(values)}")
    if x.size == 0:
        return Estimate(0, math.nan, math.nan, math.nan)
    mean = float(x.mean())
    if x.size == 1:
        return Estimate(1, mean, math.nan, math.nan)
    half = float(stdtrit(x.size - 1, (1 + level) / 2) * x.std(ddof=1) / math.sqrt(x.size))
    return Estimate(int(x.size), mean, mean - half, mean + half)


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Standard deviation s = √(Σ(x − x̄)² / (n − 1)), least and largest value; NaN where there is none, as s of one value."""
    x = np.asarray(values, dtype=np.float64)
    if x.size == 0:
        return math.nan, math.nan, math.nan
    return float(x.std(ddof=1)) if x.size > 1 else math.nan, float(x.min()), float(x.max())


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float], level: float = 0.95) -> Estimate:
    """:func:`mean_interval` of value − baseline over the seeds that both have (seed -> value)."""
    return mean_interval([value - baseline[seed] for seed, value in values.items() if seed in baseline], level)
