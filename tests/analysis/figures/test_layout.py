import numpy as np
import pytest

from nmepkg.analysis.figures.layout import text_width, value_limits, wrap
from nmepkg.errors import UserError

_NONE = np.full((1, 2), np.nan)


def test_the_range_holds_every_value_and_interval() -> None:
    low, high = value_limits(np.array([0.5, 0.6, np.nan]), np.array([[0.48, 0.62]]), (0, 1))
    assert 0.46 < low < 0.48
    assert 0.62 < high < 0.64


def test_an_interval_of_two_seeds_does_not_dwarf_the_values() -> None:
    low, high = value_limits(np.array([0.5, 0.6]), np.array([[-0.3, 1.4]]), (0, 1))
    assert (high - low) < 0.26


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_equal_values_lie_in_the_middle_of_a_range_that_is_not_empty(value: float) -> None:
    low, high = value_limits(np.full(5, value), _NONE, (0, 1))
    assert (low + high) / 2 == pytest.approx(value)
    assert high - low == pytest.approx(0.0224)


def test_the_foot_is_free_of_values() -> None:
    values = np.array([0.1, 0.9])
    low, high = value_limits(values, _NONE, (0, 1), foot=0.2)
    assert (values.min() - low) / (high - low) > 0.2


def test_without_values_there_is_still_a_range() -> None:
    assert value_limits(np.array([np.nan]), _NONE, (0, 1)) == (0.0, 1.0)


def test_wrapped_lines_fit() -> None:
    text = "Ablating the second derivative of the activation makes GELU miss what ReLU misses"
    lines = wrap(text, 9, 150).split("\n")
    assert " ".join(lines) == text
    assert len(lines) > 2
    assert all(text_width(line, 9) <= 150 for line in lines)


def test_a_formula_is_not_broken() -> None:
    assert wrap(r"where $a b$, c", 9, 1).split("\n") == ["where", "$a b$,", "c"]


def test_mathtext_that_cannot_be_parsed_is_a_clear_error() -> None:
    with pytest.raises(UserError, match="isn't valid mathtext"):
        text_width(r"$\nonsense{$", 8)
