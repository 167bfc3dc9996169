import itertools
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.text import Text

from nmepkg.analysis.figures.layout import add_legend, fit_height, value_limits, wrap
from nmepkg.analysis.figures.panels import new_panels
from nmepkg.analysis.style import RC

_NONE = np.full((1, 2), np.nan)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(RC):
        yield


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


def test_without_values_there_is_still_a_range() -> None:
    assert value_limits(np.array([np.nan]), _NONE, (0, 1)) == (0.0, 1.0)


def _wrapped(text: str, room: float, rotation: float = 0) -> Text:
    artist = Canvas().text(0, 0, "", fontsize=9, rotation=rotation)
    wrap(artist, room, text)
    return artist


@pytest.mark.parametrize("rotation", [0, 90, 270])
def test_wrapped_lines_fit(rotation: float) -> None:
    text = "Ablating the second derivative of the activation makes GELU miss what ReLU misses"
    artist = _wrapped(text, 2.0, rotation)
    assert " ".join(artist.get_text().split("\n")) == text
    assert artist.get_text().count("\n") >= 2
    box = artist.get_window_extent()
    assert (box.height if rotation else box.width) <= 2.0 * artist.get_figure().dpi


def test_a_formula_is_not_broken() -> None:
    assert _wrapped(r"where $a b$, c", 0.01).get_text().split("\n") == ["where", "$a b$,", "c"]


def test_paragraphs_stay_apart_and_the_lines_of_one_do_not() -> None:
    artist = Canvas().text(0, 0, "")
    wrap(artist, 10, "one\n two", "three")
    assert artist.get_text() == "one two\nthree"


@pytest.mark.parametrize(
    ("name", "entries", "rows"),
    [("short", 1, 1), ("short", 2, 1), ("short", 5, 2), ("short", 7, 2), ("short", 30, 8)]
    + [("a name as long as a method with many options has", entries, entries) for entries in (1, 2, 30)],
)
def test_a_legend_is_as_flat_as_it_fits_and_leaves_the_panels_their_height(name: str, entries: int, rows: int) -> None:
    canvas, panels, heights = new_panels(1, 3.3, [0.2, 0.0], differences=True)
    add_legend(canvas, [Line2D([], [], label=f"{name} {i}") for i in range(entries)], "Title " * 20)
    fit_height(canvas, heights)
    boxes = [canvas.legends[0].get_window_extent(), *(ax.get_tightbbox() for ax in canvas.axes)]
    boxes.append(canvas._suptitle.get_window_extent())
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(canvas.bbox.x0 <= box.x0 and box.x1 <= canvas.bbox.x1 for box in boxes)
    assert [list(vars(panel).values()).count(None) for panel in panels.values()] == [0, 1]
    assert len(heights) == 5
    for ax, height in heights.items():
        assert ax.get_window_extent().height / canvas.dpi == pytest.approx(height, abs=0.01)
    assert len({round(text.get_window_extent().y0) for text in canvas.legends[0].get_texts()}) == rows
