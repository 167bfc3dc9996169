import itertools

import pytest
from matplotlib.colors import to_rgb

from nmepkg.analysis.style import lightness, line_styles
from nmepkg.registry import ACTIVATIONS, METHODS
from nmepkg.study.placement import MOST
from tests.analysis.samples import ABLATED, GELU, RELU, SYNTHETIC


def test_a_method_or_activation_looks_the_same_whatever_it_is_drawn_with() -> None:
    assert line_styles("activation", [RELU, GELU])[1] == line_styles("activation", [GELU, ABLATED])[0]
    assert line_styles("method", [{"name": "sam"}, {"name": "psam"}])[1] == line_styles("method", [{"name": "psam"}])[0]


def test_a_replaced_second_derivative_is_the_same_by_name_or_in_full() -> None:
    full = {"name": "gelu", "second_derivative": {"name": "zero"}}
    assert line_styles("activation", [full]) == line_styles("activation", [ABLATED])


LINES = [
    ("method", [{"name": name} for name in METHODS]),
    ("method", [{"name": "psam"}, {"name": "psam", "m": 16}, {"name": "psam", "m": 32}]),
    ("activation", [RELU, GELU, ABLATED, SYNTHETIC, {"name": "tanh"}]),
    ("setup", ["a", "b", "c", "d", "e", "f", "g", "h"]),
    ("beta", [1.0, 10.0]),
    ("quantity", ["tr_H", "tr_G", "tr_N"]),
    ("quantity", ["largest_eigenvalue_H", "smallest_eigenvalue_H", "largest_eigenvalue_N"]),
    ("at", ["initial", 100, 200, "final"]),
]


@pytest.mark.parametrize(("axis", "values"), LINES)
def test_no_two_lines_look_the_same(axis: str, values: list) -> None:
    styles = line_styles(axis, values)
    assert len(styles) == len(values)
    for one, other in itertools.combinations(styles, 2):
        assert one != other


def test_no_line_looks_like_a_sign() -> None:
    """A cross is a run that diverged, a dot a seed."""
    everything = [*({"name": name} for name in METHODS), *({"name": f"other {i}"} for i in range(20))]
    activations = [{"name": name} for name in ACTIVATIONS]
    lines = [*line_styles("method", everything), *line_styles("activation", activations), *line_styles("beta", [1, 2])]
    assert not {style.marker for style in lines} & {"x", "X", "+", ".", ","}


def test_a_part_of_the_hessian_looks_the_same_in_every_quantity() -> None:
    assert line_styles("quantity", ["tr_N"]) == line_styles("quantity", ["cosine_N"])
    assert line_styles("at", ["initial", "final"])[1] == line_styles("at", ["final"])[0]


def test_penalties_of_one_part_have_one_colour_and_dashes_of_their_own() -> None:
    names = ("gn_trace", "gn_trace_hutchinson", "gn_trace_exact", "weight_noise", "hessian_trace", "nme_trace")
    styles = line_styles("method", [{"name": name} for name in names])
    assert [len({style.color for style in part}) for part in (styles[:3], styles[2:])] == [1, 4]
    assert len({style.dashes for style in styles[:3]}) == 3


def _luminance(color: str) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def test_lines_stand_out_from_white() -> None:
    everything = [*({"name": name} for name in METHODS), *({"name": f"other {i}"} for i in range(8))]
    for style in (
        *line_styles("method", everything),
        *line_styles("activation", [{"name": name} for name in ACTIVATIONS]),
    ):
        assert 1.05 / (_luminance(style.color) + 0.05) >= 3.0  # WCAG 2.2, 1.4.11


def _lightness(color: str) -> float:
    """CIE L*."""
    luminance = _luminance(color)
    return 116 * luminance ** (1 / 3) - 16 if luminance > (6 / 29) ** 3 else luminance * (29 / 3) ** 3


def test_lightness_is_that_of_black_grey_and_white() -> None:
    assert [lightness(color) for color in ("#000000", "#777777", "#ffffff")] == pytest.approx([0, 50.03, 100], abs=0.01)


@pytest.mark.parametrize(("axis", "values"), LINES)
def test_a_grey_print_tells_lines_apart(axis: str, values: list) -> None:
    for one, other in itertools.combinations(line_styles(axis, values), 2):
        assert abs(_lightness(one.color) - _lightness(other.color)) >= 10 or one.dashes != other.dashes


def test_many_lines_are_told_apart() -> None:
    values = [{"name": "beta_gelu", "beta": float(beta)} for beta in range(MOST["lines"])]
    assert len(set(line_styles("activation", values))) == MOST["lines"]
