import itertools
from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from nmepkg.analysis.figures.layout import value_limits
from nmepkg.analysis.figures.scales import ValueScale, value_scale
from nmepkg.analysis.figures.ticks import scale_remark, set_value_ticks, set_x_ticks, tick_text, tick_texts
from nmepkg.analysis.style import RC

_NONE = np.full((1, 2), np.nan)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(RC):
        yield


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (100.0, "100"),
        (1e6, r"$\mathdefault{10^{6}}$"),
        (1e-4, r"$\mathdefault{10^{-4}}$"),
        (2e-5, r"$\mathdefault{2\times10^{-5}}$"),
        (-100.0, "−100"),
        (-1e6, r"$\mathdefault{-10^{6}}$"),
    ],
)
def test_numbers_on_an_axis(value: float, text: str) -> None:
    assert tick_text(value) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.001, 0.01, 0.1], ["0.001", "0.01", "0.1"]),
        (
            [1e-4, 1e-3, 3e-3],
            [r"$\mathdefault{10^{-4}}$", r"$\mathdefault{10^{-3}}$", r"$\mathdefault{3\times10^{-3}}$"],
        ),
        ([0.0, 1.0, 1e6], ["0", r"$\mathdefault{10^{0}}$", r"$\mathdefault{10^{6}}$"]),
    ],
)
def test_the_ticks_of_one_axis_are_written_in_one_way(values: list[float], texts: list[str]) -> None:
    assert tick_texts(values) == texts
    ax = _axes("symlog", np.array([0.0, *values]))
    assert [ax.yaxis.get_major_formatter().format_ticks(values)] == [texts]


def test_a_remark_says_where_an_axis_is_linear_in_its_own_numbers() -> None:
    assert scale_remark(ValueScale("symlog", 0.01), 100) == "(linear within ±1, logarithmic beyond)"
    assert scale_remark(ValueScale("log")) == scale_remark(ValueScale("linear")) == ""


def _axes(name: str, values: np.ndarray) -> Axes:
    canvas = Canvas(figsize=(3, 1.75))
    FigureCanvasAgg(canvas)
    ax = canvas.subplots()
    scale = value_scale(name, values)
    scale.set(ax)
    ax.set_ylim(*value_limits(values, _NONE, (-np.inf, np.inf), scale=scale, min_span=scale.min_span(values)))
    set_value_ticks(ax, scale)
    canvas.draw_without_rendering()
    return ax


def _apart(labels: Sequence[Text]) -> bool:
    boxes = [text.get_window_extent() for text in labels]
    return not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("symlog", [-1e12, 50.0, 90.0, 100.0]),
        ("symlog", [-3e5, 2e5, 10.0, -20.0]),
        ("symlog", [5.0, 7.0, 9.0, -2.0]),
        ("symlog", [1e-6, 5e-5, -3e-4]),
        ("symlog", [3e37, -1e38, 1.0, 2.0, 3.0]),
        ("symlog", [400.0, 410.0]),
        ("symlog", [0.0, 2e-6, 3e-3, 40.0]),
        ("symlog", [0.0, 1e-25, 1e-20, 1e20]),
        ("log", [1e-12, 1.0]),
        ("log", [0.02, 0.9]),
        ("log", [0.5, 0.6]),
        ("log", [20.0, 420.0]),
        ("log", [3.0, 9e3]),
        ("linear", [-4e12, 100.0]),
        ("linear", [1e-5, 1.1e-5]),
    ],
)
def test_ticks_are_few_and_have_room(name: str, values: list[float]) -> None:
    ax = _axes(name, np.array(values))
    low, high = ax.get_ylim()
    assert low < min(values)
    assert max(values) < high
    labels = [text for text in ax.get_yticklabels() if low <= text.get_position()[1] <= high]
    assert 2 <= len(labels) <= 8
    assert len({text.get_text() for text in labels}) == len(labels)
    assert _apart(labels)
    assert not ax.yaxis.get_minorticklocs().size


def test_symlog_shows_zero_and_whole_powers_of_ten() -> None:
    ax = _axes("symlog", np.array([-3e5, 2e5, 10.0, -20.0]))
    ticks = np.asarray(ax.get_yticks())
    assert 0.0 in ticks
    assert ticks.min() <= -1e4
    assert ticks.max() >= 1e4
    powers = np.log10(np.abs(ticks[ticks != 0]))
    np.testing.assert_allclose(powers, np.round(powers), atol=1e-9)


def test_rounding_errors_are_no_numbers() -> None:
    ax = _axes("linear", np.array([-1.0, 1.0]))
    assert ax.yaxis.get_major_formatter().format_ticks([-5.55e-17, 0.5]) == ["0", "0.5"]


def _x_axis(scale: str, low: float, high: float, width: float) -> Axes:
    canvas = Canvas(figsize=(width, 1.75))
    FigureCanvasAgg(canvas)
    ax = canvas.subplots()
    ax.set_xscale(scale)
    ax.set_xlim(low, high)
    return ax


@pytest.mark.parametrize("width", [1.3, 2.0, 3.3])
@pytest.mark.parametrize("high", [1e-5, 7e-3, 1.0, 1120.0, 2e4, 1.2e5, 3e9])
def test_round_values_have_room_on_a_linear_axis(high: float, width: float) -> None:
    ax = _x_axis("linear", -0.03 * high, 1.03 * high, width)
    set_x_ticks(ax, "linear", [0.0, high])
    labels = ax.get_xticklabels()
    assert 2 <= len(labels) <= 8
    assert all(text.get_text() for text in labels)
    assert _apart(labels)


@pytest.mark.parametrize("width", [1.3, 2.0, 3.3])
def test_every_strength_has_a_tick_and_the_round_ones_labels_that_have_room(width: float) -> None:
    values = [1e-4, 1.5e-4, 0.0015, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0]
    ax = _x_axis("log", 5e-5, 20.0, width)
    set_x_ticks(ax, "log", sorted(values))
    assert ax.get_xticks().tolist() == sorted(values)
    labels = [text for text in ax.get_xticklabels() if text.get_text()]
    assert {tick_text(value, powers=True) for value in (1e-4, 0.01, 1.0)} <= {text.get_text() for text in labels}
    assert _apart(labels)
