from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from nmepkg.analysis.figures import marks
from nmepkg.analysis.style import LineStyle

POINTS = pd.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.0],
        "n_seeds": [3, 3, 2, 3],
        "n_diverged": [0, 0, 1, 1],
        "mean": [0.2, 0.3, 0.5, 0.4],
        "ci_low": [0.1, 0.2, -9.0, 0.3],
        "ci_high": [0.3, 0.4, 9.0, 0.5],
    }
)
STYLE = LineStyle("#000000", "o", (3.0, 1.0))
STACKED, BESIDE = marks.stacked(1)[0], marks.Slot(-5.0, 10.0, 4.0)


def _bars(ax: Axes) -> list[list[list[float]]]:
    return [path.vertices.tolist() for lines in ax.collections for path in lines.get_paths()]


def test_the_interval_of_two_seeds_or_of_the_runs_left_is_left_to_the_table() -> None:
    shown = marks.intervals(POINTS)
    assert shown["ci_low"].tolist()[:2] == [0.1, 0.2]
    assert shown.iloc[2:].isna().all(axis=None)


@pytest.mark.parametrize("slot", [STACKED, BESIDE])
def test_intervals_reach_no_further_than_what_is_shown(slot: marks.Slot) -> None:
    ax = Figure().subplots()
    marks.draw_interval(ax, POINTS, STYLE, slot, (0.15, 1.0))
    heights = [y for path in ax.collections[0].get_paths() for _, y in path.vertices]
    assert min(heights) == pytest.approx(0.15)
    assert max(heights) <= 0.5


def test_bars_are_beside_their_x_and_caps_at_their_ends() -> None:
    ax = Figure().subplots()
    marks.draw_interval(ax, POINTS, STYLE, BESIDE, (0.0, 1.0))
    np.testing.assert_allclose(_bars(ax), [[[1, 0.1], [1, 0.3]], [[2, 0.2], [2, 0.4]]])
    (bars,) = ax.collections
    moved = bars.get_transform().transform((1, 0.1)) - ax.transData.transform((1, 0.1))
    np.testing.assert_allclose(moved, [-5 / 72 * ax.figure.dpi, 0], atol=1e-9)
    assert sorted(y for caps in ax.lines for y in caps.get_ydata()) == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_a_mean_of_the_runs_left_is_hollow_and_dots_lead_to_it() -> None:
    ax = Figure().subplots()
    marks.draw_mean(ax, POINTS, STYLE, 0, STACKED)
    whole, left = ax.lines
    np.testing.assert_array_equal(whole.get_ydata(), [0.2, 0.3, np.nan, np.nan])
    np.testing.assert_array_equal(left.get_ydata(), [np.nan, np.nan, 0.5, 0.4])
    assert (left.get_linestyle(), left.get_markerfacecolor(), left.get_markeredgecolor()) == (
        "None",
        "white",
        STYLE.color,
    )
    (dots,) = (lines for lines in ax.collections if isinstance(lines, LineCollection))
    assert [path.vertices.tolist() for path in dots.get_paths()] == [[[2, 0.3], [3, 0.5]], [[3, 0.5], [4, 0.4]]]


def test_nothing_is_hollow_where_no_run_diverged() -> None:
    ax = Figure().subplots()
    marks.draw_mean(ax, POINTS[:2], STYLE, 0, STACKED)
    assert (len(ax.lines), len(ax.collections)) == (1, 0)


def test_lines_stand_side_by_side_where_there_is_room() -> None:
    slots = marks.side_by_side(np.array([0.1, 0.3, 1.0]), "log", 2.8, 3)
    assert [slot.aside for slot in slots] == [-slots[0].room, 0.0, slots[0].room]
    assert marks.side_by_side(np.array([2.0]), "linear", 2.8, 2)[0].room > 0
    dense = np.linspace(0, 1, 40)
    assert marks.side_by_side(dense, "linear", 2.8, 3) == marks.stacked(3)


def test_equal_seeds_have_places_of_their_own() -> None:
    ax = Figure().subplots()
    runs = pd.DataFrame({"x": 1.0, "_y": [0.4, 0.4, 0.4, np.nan], "seed": [0, 1, 2, 3]})
    marks.draw_seeds(ax, runs, STYLE, BESIDE)
    places = {tuple(np.round(dot.get_transform().transform((1.0, 0.4)), 2)) for dot in ax.lines}
    assert len(places) == 3


def test_of_lines_over_one_another_the_first_is_the_widest() -> None:
    widths = [marks.size(line, STACKED)["linewidth"] for line in range(3)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 1.4 * widths[1]
    assert marks.size(0, BESIDE) == marks.size(2, BESIDE)
