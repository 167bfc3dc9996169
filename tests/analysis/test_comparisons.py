"""Comparisons on simulated data with known effects: error rates, coverage, power; and against other derivations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nmepkg.analysis.claims import comparisons
from nmepkg.analysis.claims.comparisons import ALPHA, weigh

EXPECTED = ("less", "greater", "equal", "different")


def simulated(effect: float, n: int, trials: int = 4_000, noise: float = 1.0) -> np.ndarray:
    """(trials, n) differences of pairs that share most of what varies."""
    rng = np.random.default_rng(n)
    return effect + noise * rng.normal(size=(trials, n))


def rare(share: float, most: float, trials: int) -> bool:
    """Whether a share of trials is at most what it should be, by four standard errors."""
    return share <= most + 4 * math.sqrt(most * (1 - most) / trials)


def test_an_effect_has_the_interval_and_p_of_scipy() -> None:
    a, b = np.array([3.0, 5, 4, 7]), np.array([1.0, 2, 1, 8])
    found, expected = weigh(a - b, "different", 1.0), stats.ttest_rel(a, b)
    assert (found.n, found.mean) == (4, pytest.approx(1.75))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    narrower = weigh(a - b, "different", 1.0, alpha=0.2)
    assert (narrower.low, narrower.high) == pytest.approx(tuple(expected.confidence_interval(0.8)))


@pytest.mark.parametrize("expect", EXPECTED)
def test_the_interval_shows_each_verdict(expect: str) -> None:
    """Supported and contradicted are where the interval lies, against 0 and ± the smallest effect of interest."""
    rng = np.random.default_rng(0)
    for mean in np.linspace(-3, 3, 25):
        e = weigh(rng.normal(mean, 0.7, 5), expect, 1.0)
        supported, contradicted = {
            "less": (e.high < 0, e.low > -1),
            "greater": (e.low > 0, e.high < 1),
            "equal": (e.low > -1 and e.high < 1, e.low > 1 or e.high < -1),
            "different": (e.low > 0 or e.high < 0, e.low > -1 and e.high < 1),
        }[expect]
        assert (e.p < ALPHA, e.against < ALPHA) == (supported, contradicted)


def test_too_few_seeds_have_no_interval() -> None:
    assert weigh(np.empty(0), "less", 1.0).n == 0
    one = weigh(np.array([2.0]), "less", 1.0)
    assert (one.n, one.mean) == (1, 2.0)
    assert all(
        math.isnan(x) for x in (one.sd, one.low, one.high, one.p, one.against, comparisons.sign_flip(np.ones(1)))
    )
    with pytest.raises(ValueError, match="finite"):
        weigh(np.array([math.nan, 1.0]), "less", 1.0)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_sign_flips_are_counted_out(n: int) -> None:
    d = np.random.default_rng(n).normal(0.5, 1, n)
    sums = [abs(np.dot(signs, d)) for signs in itertools.product([-1, 1], repeat=n)]
    expected = np.mean([s >= abs(d.sum()) - 1e-12 for s in sums])
    assert comparisons.sign_flip(d) == pytest.approx(expected)
    assert comparisons.sign_flip(np.abs(d)) == pytest.approx(2.0 ** (1 - n))
    assert comparisons.sign_flip(0 * d) == 1


def test_no_spread_is_no_doubt() -> None:
    same = np.full(4, 2.0)
    assert (weigh(same, "greater", 1.0).p, weigh(same, "greater", 1.0).against) == (0, 1)
    assert (weigh(same, "less", 1.0).p, weigh(same, "less", 1.0).against) == (1, 0)
    assert (weigh(same, "equal", 3.0).p, weigh(same, "equal", 2.0).p, weigh(same, "equal", 1.0).against) == (0, 1, 0)
    assert weigh(0 * same, "different", 1.0).p == 1
    assert comparisons.smallest_effect(0.0, 4) == 0
    assert comparisons.seeds_needed(1.0, 0.0) == 2


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_false_positives_and_coverage(n: int) -> None:
    """Of 4,000 studies without an effect 5 % say there is one, and of those with one the interval holds it in 95 %."""
    p = stats.ttest_1samp(simulated(0.0, n), 0, axis=1).pvalue  # as weigh's, for all of them at once
    assert p[:5] == pytest.approx([weigh(d, "different", 1.0).p for d in simulated(0.0, n)[:5]])
    assert abs((p < 0.05).mean() - 0.05) < 4 * math.sqrt(0.05 * 0.95 / len(p))
    found = [weigh(d, "different", 1.0) for d in simulated(0.7, n, 200)]
    held = np.mean([e.low <= 0.7 <= e.high for e in found])
    assert abs(held - 0.95) < 4 * math.sqrt(0.05 * 0.95 / len(found))


@pytest.mark.parametrize(
    ("expect", "true", "wrong"),
    [
        ("less", 0.0, "p"),
        ("less", 0.3, "p"),
        ("less", -1.0, "against"),
        ("greater", 0.0, "p"),
        ("greater", 1.0, "against"),
        ("equal", 1.0, "p"),
        ("equal", -1.0, "p"),
        ("equal", 1.0, "against"),
        ("different", 0.0, "p"),
        ("different", 1.0, "against"),
    ],
)
def test_a_verdict_is_wrong_in_five_per_cent_at_most(expect: str, true: float, wrong: str) -> None:
    """At the true effects where each is likeliest to be wrong."""
    d = simulated(true, 5, 400, noise=0.4)
    share = float(np.mean([getattr(weigh(row, expect, 1.0), wrong) < ALPHA for row in d]))
    assert rare(share, 0.05, len(d))


@pytest.mark.parametrize(("expect", "true"), [("less", -2.0), ("greater", 2.0), ("equal", 0.0), ("different", -2.0)])
def test_what_holds_is_found(expect: str, true: float) -> None:
    found = [weigh(row, expect, 1.0) for row in simulated(true, 6, 100, noise=0.3)]
    assert np.mean([e.p < ALPHA for e in found]) > 0.9
    assert not any(e.against < ALPHA for e in found)


@pytest.mark.parametrize(("size", "n"), [(1.0, 5), (2.0, 4), (0.5, 12)])
def test_power_is_what_comes_out(size: float, n: int) -> None:
    found = np.mean(stats.ttest_1samp(simulated(size, n), 0, axis=1).pvalue < 0.05)
    assert abs(found - comparisons.power(size, 1.0, n)) < 4 * math.sqrt(0.25 / 4_000)


def test_seeds_and_effects_undo_each_other() -> None:
    for n in (3, 5, 20):
        size = comparisons.smallest_effect(2.0, n)
        assert comparisons.power(size, 2.0, n) == pytest.approx(0.8)
        assert comparisons.seeds_needed(size * 1.0001, 2.0) == n
    assert comparisons.seeds_needed(0.0, 1.0) is None
    assert comparisons.smallest_effect(1.0, 1) == math.inf


@pytest.mark.parametrize(
    ("expect", "effect"),
    [
        ("less", -1.2),
        ("less", 0.5),
        ("less", -0.1),
        ("greater", 1.0),
        ("equal", 0.0),
        ("equal", 0.4),
        ("equal", 3.0),
        ("different", 1.5),
    ],
)
def test_so_many_seeds_decide(expect: str, effect: float) -> None:
    """Four studies of five are decided at the number of seeds that is said to be needed, and fewer at half of it."""
    n = comparisons.to_decide(effect, 1.0, expect, 1.0)
    assert n is not None

    def decided(n: int) -> float:
        found = [weigh(row, expect, 1.0) for row in simulated(effect, n, 300)]
        return float(np.mean([min(e.p, e.against) < ALPHA for e in found]))

    assert decided(n) > 0.8 - 4 * math.sqrt(0.16 / 300)
    assert decided(max(2, n // 2)) < decided(n)


def test_an_effect_on_the_edge_is_never_decided() -> None:
    assert comparisons.to_decide(1.0, 1.0, "equal", 1.0) is None


def test_holm() -> None:
    """By hand, and the chance of any false positive among ten independent claims."""
    assert comparisons.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert comparisons.holm([]) == []
    with_none = comparisons.holm([0.01, math.nan, 0.04])
    assert math.isnan(with_none[1])
    assert [with_none[0], with_none[2]] == pytest.approx([0.02, 0.04])
    p = np.random.default_rng(0).uniform(size=(4_000, 10))
    assert rare(float(np.mean([min(comparisons.holm(row)) < 0.05 for row in p.tolist()])), 0.05, 4_000)


def test_adding_seeds_until_it_is_decided_is_paid_for() -> None:
    """Looks at 3, 4, … 12 seeds, each at its own level: no more than 5 % of studies without an effect ever say there is one."""
    studies = simulated(0.0, 12, 2_000)
    looks = range(3, 13)
    p = np.stack([stats.ttest_1samp(studies[:, :n], 0, axis=1).pvalue for n in looks], axis=1)
    levels = [comparisons.level_of_look(look) for look in range(1, len(looks) + 1)]
    assert sum(levels) < ALPHA
    assert (p < levels).any(axis=1).mean() < 0.05
    assert (p < 0.05).any(axis=1).mean() > 0.1  # what it would cost
    with pytest.raises(ValueError, match="from 1"):
        comparisons.level_of_look(0)
