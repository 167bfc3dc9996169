import math

import numpy as np
import pytest
from scipy import stats

from nmepkg.analysis.statistics import mean_interval, paired_difference


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_is_students(n: int, level: float) -> None:
    values = np.random.default_rng(n).normal(0.7, 0.1, n)
    estimate = mean_interval(values.tolist(), level)
    low, high = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose((estimate.mean, estimate.low, estimate.high), (values.mean(), low, high), rtol=1e-12)
    assert estimate.n == n


def test_two_values_have_the_closed_form_of_one_degree_of_freedom() -> None:
    # t with one degree of freedom is Cauchy: its 97.5 % quantile is tan(0.475 π).
    estimate = mean_interval([0.5, 0.7])
    assert estimate.high - estimate.mean == pytest.approx(math.tan(0.475 * math.pi) * 0.1, rel=1e-12)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 3))
    covered = [estimate.low <= 0 <= estimate.high for estimate in map(mean_interval, draws.tolist())]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    one, none = mean_interval([0.25]), mean_interval([])
    assert (one.n, one.mean) == (1, 0.25)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert none.n == 0
    assert all(math.isnan(value) for value in none[1:])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval([0.5, value])


def test_an_impossible_level_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        mean_interval([0.5], 95)


def test_differences_pair_the_seeds_that_both_have() -> None:
    values, baseline = {0: 0.9, 1: 0.5, 7: 0.1}, {1: 0.45, 0: 0.82, 3: 0.0}
    paired = paired_difference(values, baseline)
    assert paired == mean_interval([0.9 - 0.82, 0.5 - 0.45])
    low, high = stats.ttest_rel([0.9, 0.5], [0.82, 0.45]).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((low, high))
