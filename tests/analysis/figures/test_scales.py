import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from nmepkg.analysis.figures.layout import value_limits
from nmepkg.analysis.figures.scales import ValueScale, difference_scale, value_scale

_NONE = np.full((1, 2), np.nan)


def _axes(name: str, values: np.ndarray) -> tuple[Axes, ValueScale]:
    canvas = Canvas(figsize=(3, 1.75))
    FigureCanvasAgg(canvas)
    ax = canvas.subplots()
    scale = value_scale(name, values)
    scale.set(ax)
    ax.set_ylim(*value_limits(values, _NONE, (-np.inf, np.inf), scale=scale, min_span=scale.min_span(values)))
    canvas.draw_without_rendering()
    return ax, scale


@pytest.mark.parametrize("name", ["linear", "log", "symlog"])
def test_forward_is_where_matplotlib_draws_a_value_and_inverse_its_inverse(name: str) -> None:
    values = np.array([0.02, 0.5, 3.0, 40.0, 1e5]) * ([1, -1, 1, -1, 1] if name == "symlog" else [1] * 5)
    ax, scale = _axes(name, values)
    low, high = scale.forward(np.array(ax.get_ylim()))
    drawn = ax.transLimits.transform(ax.transScale.transform([(1.0, value) for value in values]))[:, 1]
    np.testing.assert_allclose((scale.forward(values) - low) / (high - low), drawn, atol=1e-9)
    np.testing.assert_allclose(scale.inverse(scale.forward(values)), values, rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_what_has_no_place_on_a_logarithmic_axis_makes_it_symlog(value: float) -> None:
    assert value_scale("log", np.array([0.5, 20.0, np.nan])) == ValueScale("log")
    assert value_scale("log", np.array([0.5, 20.0, value, np.nan])).name == "symlog"


def test_symlog_is_linear_below_the_usual_values() -> None:
    assert value_scale("symlog", np.array([1e-9, -20.0, 300.0, -4000.0, np.nan])).threshold == 10.0
    assert value_scale("symlog", np.array([0.0, 0.0, 10.0])).threshold == 10.0
    assert value_scale("symlog", np.array([0.5])).threshold == pytest.approx(0.1)


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0]])
def test_without_a_value_to_tell_from_zero_symlog_is_linear(values: list[float]) -> None:
    assert value_scale("symlog", np.array(values)) == ValueScale("linear")


def test_differences_are_linear_unless_one_is_far_larger_than_usual() -> None:
    assert difference_scale(np.array([0.01, -0.02, 0.1, 0.0, np.nan])) == ValueScale("linear")
    assert difference_scale(np.array([0.012, -0.02, 0.008, -0.6])) == ValueScale("symlog", 0.01)
    assert difference_scale(np.array([0.001, -0.002, 0.09]), least=0.01) == ValueScale("linear")
    assert difference_scale(np.array([0.001, -0.002, 0.11]), least=0.01) == ValueScale("symlog", 0.01)
    assert difference_scale(np.array([0.0, np.nan])) == ValueScale("linear")
