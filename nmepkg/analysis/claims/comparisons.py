"""Whether an effect is there: paired differences, tests, equivalence, multiplicity, power, and what looking again costs.

Runs of one seed share their initialisation and the order of their data, so values are paired by seed and everything here is of
the differences d = a − b. Student's t assumes that they are independent and normal; the exact sign-flip test beside it assumes
only that they are symmetric about 0 where there is no effect, and of n seeds has no p below 2⁻ⁿ⁺¹. All by SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from scipy.special import nctdtr, stdtr, stdtrit

ALPHA = 0.05
CHANCE = 0.8  # of showing an effect that is there, wherever seeds are counted
SPENT = 0.75  # of what is left of ALPHA, by each look


@dataclass(frozen=True)
class Evidence:
    """What n differences say of a claim; NaN where there are too few of them.

    Attributes:
      n: how many.
      mean, sd: of the differences.
      low, high: Student's two-sided interval of the mean at the level 1 − α of the look.
      p: small where the claim holds: the effect is beyond 0 in its direction, or surely within ± smallest. On the scale of a
        two-sided test.
      against: small where it does not: the effect is surely below the smallest of interest, or beyond it where it should be 0.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p: float
    against: float


def weigh(d: np.ndarray, expect: str, smallest: float, alpha: float = ALPHA) -> Evidence:
    """The evidence of differences (n,) for a claim.

    Args:
      expect: ``less``, ``greater``, ``equal`` or ``different``.
      smallest: the smallest effect of interest, above 0.
      alpha: the level of this look, :func:`level_of_look`.

    With e the effect in the direction expected and δ the smallest of interest: a claim of a direction is supported where e ≤ 0
    is rejected, and contradicted where e ≥ δ is, so that an effect too small to matter contradicts it. Equality within ± δ is
    two one-sided tests (Schuirmann 1987). Each is at α / 2, so that the interval shows them all.

    Raises:
      ValueError: a difference is not finite: what a run that diverged counts as is the caller's to say.
    """
    if not np.isfinite(d).all():
        raise ValueError(f"every difference must be finite, got {d.tolist()}")
    if d.size < 2:
        return Evidence(int(d.size), float(d.mean()) if d.size else math.nan, *[math.nan] * 5)
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    error, freedom = sd / math.sqrt(d.size), d.size - 1
    half = float(stdtrit(freedom, 1 - alpha / 2)) * error

    def above(value: float) -> float:
        """One-sided p of a mean difference of ``value`` or less, small where it is more; where no seed differs, 0 or 1."""
        distance = mean - value
        return float(stdtr(freedom, -distance / error)) if error else float(distance <= 0)

    def below(value: float) -> float:
        distance = mean - value
        return float(stdtr(freedom, distance / error)) if error else float(distance >= 0)

    within = max(above(-smallest), below(smallest))
    match expect:
        case "less":
            p, against = below(0.0), above(-smallest)
        case "greater":
            p, against = above(0.0), below(smallest)
        case "equal":
            p, against = within, min(below(-smallest), above(smallest))
        case _:
            p, against = min(above(0.0), below(0.0)), within
    return Evidence(int(d.size), mean, sd, mean - half, mean + half, min(1.0, 2 * p), min(1.0, 2 * against))


def sign_flip(d: np.ndarray) -> float:
    """The share of all 2ⁿ ways to flip the signs of n differences whose sum is as far from 0 as theirs: an exact p, two-sided.

    Of more than 16 differences it takes 65,536 of the ways at random, drawn from a fixed seed.
    """
    if d.size < 2:
        return math.nan
    if not d.any():
        return 1.0
    found = stats.permutation_test(
        (d,),
        np.sum,
        permutation_type="samples",
        n_resamples=2**16,
        batch=max(1, 2**22 // d.size),  # 32 MB at a time
        rng=np.random.default_rng(0),
        vectorized=True,
    )
    return float(min(found.pvalue, 1.0))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's p values (1979): rejecting those below α makes any false rejection no likelier than α, whatever depends on what.

    The i-th smallest of m is multiplied by m − i + 1, and is no smaller than the one before. NaN takes no part and stays.
    """
    values = np.asarray(p, np.float64)
    there = np.flatnonzero(~np.isnan(values))
    order = there[np.argsort(values[there], kind="stable")]
    factors = np.arange(len(there), 0, -1)
    adjusted = np.full(len(values), math.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return adjusted.tolist()


def level_of_look(look: int, alpha: float = ALPHA) -> float:
    """The level at which the ``look``-th look at growing data may decide, from 1: α · ¾ · ¼ᵏ⁻¹.

    They sum to α, so that whoever adds seeds until a claim is decided, however often, is wrong with a chance of α at most, by
    Bonferroni's inequality. Most of it goes to the first look, as most claims are looked at once. (Lan and DeMets (1983) spend
    α along what a trial plans to collect; here nobody has planned how many seeds there will be.)
    """
    if look < 1:
        raise ValueError(f"looks count from 1, not from {look}")
    return float(alpha * SPENT * (1 - SPENT) ** (look - 1))


def power(size: float, sd: float, n: int, alpha: float = ALPHA) -> float:
    """The chance that n seeds show an effect of a size: that the two-sided t test of level alpha rejects, by noncentral t."""
    if n < 2:
        return 0.0
    critical, shift = stdtrit(n - 1, 1 - alpha / 2), abs(size) / sd * math.sqrt(n)
    wrong_side = np.nan_to_num(nctdtr(n - 1, shift, -critical))  # NaN where it is below what SciPy can tell from 0
    return float(1 - nctdtr(n - 1, shift, critical) + wrong_side)


def smallest_effect(sd: float, n: int, alpha: float = ALPHA, chance: float = CHANCE) -> float:
    """The effect that n seeds show with that chance; infinite for fewer than two."""
    if n < 2:
        return math.inf
    if sd == 0:
        return 0.0
    top = 1.0
    while power(top, 1.0, n, alpha) < chance:
        top *= 2
    return sd * float(optimize.brentq(lambda size: power(size, 1.0, n, alpha) - chance, 0.0, top))


def seeds_needed(
    size: float, sd: float, alpha: float = ALPHA, chance: float = CHANCE, most: int = 10_000
) -> int | None:
    """The fewest seeds that show an effect of a size with that chance; None if they are more than ``most``."""
    if sd == 0 or not math.isfinite(sd):
        return 2 if size else None
    low, high = 1, 2  # `low` seeds are not enough
    while power(size, sd, high, alpha) < chance:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(size, sd, middle, alpha) >= chance else (middle, high)
    return high


def to_decide(effect: float, sd: float, expect: str, smallest: float, alpha: float = ALPHA) -> int | None:
    """The fewest seeds that would decide a claim, either way, with a chance of 0.8, were the true effect this one.

    What decides is the distance to the nearest effect that must be excluded; equality has two of them, and with a true effect
    half-way between is as likely to miss either.
    """
    directed = -effect if expect == "less" else effect
    if expect in ("less", "greater"):
        return seeds_needed(max(directed, smallest - directed), sd, alpha)
    inside = smallest - abs(effect)
    both = 1 - (1 - CHANCE) / 2
    if expect == "equal":
        return seeds_needed(inside, sd, alpha, both) if inside > 0 else seeds_needed(-inside, sd, alpha)
    found = [seeds_needed(abs(effect), sd, alpha), seeds_needed(inside, sd, alpha, both) if inside > 0 else None]
    return min((n for n in found if n is not None), default=None)
