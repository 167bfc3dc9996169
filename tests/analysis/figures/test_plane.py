"""What can be checked without eyes: every map, contour and label is there, and nothing overlaps or leaves the page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from nmepkg.analysis.figures.plane import draw
from nmepkg.analysis.labels import DIRECTIONS
from nmepkg.analysis.planes import Plane, Planes
from nmepkg.analysis.style import ONE_COLUMN, RC, SMALLEST, TWO_COLUMNS
from nmepkg.registry import MEASUREMENTS
from nmepkg.study.spec import Figure
from tests.analysis.figures.texts import assert_apart_and_on_the_page

TITLES = {"mlp": "MLP", "deep": "10-layer MLP, BatchNorm"}
GELU, RELU = {"name": "gelu"}, {"name": "relu"}
METHODS = [{"name": "sgd"}, {"name": "psam"}, {"name": "gn_trace_hutchinson", "samples": 5}]
PLACES = ["initial", 100, 20000, 300000, "final"]


def plane(
    row: int, column: int, steep: float = 30.0, least: float = 0.05, reach: float = 1.0, points: int = 25
) -> Plane:
    at = np.linspace(-reach, reach, points)
    a, b = np.meshgrid(at, at) if points else (np.empty(0), np.empty(0))
    loss = least + (steep * a**2 + 8 * b**2) / 2
    return Plane(row, column, "measured", at, loss, 1 / (1 + loss), {}, {})


def lost(row: int, column: int, status: str = "not_finite") -> Plane:
    nothing = np.empty(0)
    return Plane(row, column, status, nothing, nothing, nothing, {}, {})


def planes(
    found: Sequence[Plane], over: Any = ((None,), (None,)), directions: str = "top_H", reach: float = 1.0, **more: Any
) -> Planes:
    """Those of a figure whose rows and columns are these values."""
    rows, columns = over
    figure = Figure("planes", kind="plane", measurement="around", **more)
    return Planes(figure, list(rows), list(columns), list(found), {"directions": directions, "range": reach})


FOUR = [plane(0, 0), plane(0, 1, 300.0), plane(1, 0, 3.0, 0.001), plane(1, 1, 1e5)]
TWO_BY_TWO: Any = (["mlp", "deep"], [GELU, RELU])
BY_BOTH: Any = {"rows": "setup", "columns": "activation"}
FORMS = {
    "one": planes([plane(0, 0)], title="Loss over the top eigenvectors of H"),
    "setups and activations": planes(FOUR, TWO_BY_TWO, title=" ".join(["A title of two lines"] * 6), **BY_BOTH),
    "many": planes(
        [lost(0, 0), *(plane(i, j, 3.0**j, 10.0**-i, 1e-3) for i in range(3) for j in range(5) if i + j)],
        (METHODS, PLACES),
        "filter_normalized",
        1e-3,
        rows="method",
        columns="at",
    ),
    "a column of rows": planes(
        [plane(i, 0, 3.0**i, 1e-5, 123.4) for i in range(5)], (PLACES, (None,)), "g_and_top_H", 123.4, rows="at"
    ),
    "nothing": planes([lost(0, 0), lost(0, 1, "not_reached")], ((None,), [GELU, RELU]), "top_N", columns="activation"),
    "flat": planes([plane(0, 0, 1e-9, 1.2345, 1e-9)], directions="top_G", reach=1e-9),
}


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(RC):
        yield


@cache
def drawing(name: str) -> Canvas:
    """One of FORMS, drawn once."""
    with matplotlib.rc_context(RC):
        return draw(FORMS[name], TITLES)


@pytest.fixture(scope="module", params=FORMS)
def canvas(request: pytest.FixtureRequest) -> Canvas:
    return drawing(request.param)


def _maps(canvas: Canvas) -> list[Axes]:
    return [ax for ax in canvas.axes if ax.get_label() != "<colorbar>"]


def _bar(canvas: Canvas) -> Axes:
    (bar,) = [ax for ax in canvas.axes if ax.get_label() == "<colorbar>"]
    return bar


def _of(ax: Axes, kind: type) -> list[Any]:
    return [artist for artist in ax.collections if isinstance(artist, kind)]


def _texts(canvas: Canvas) -> list[Text]:
    return [text for text in canvas.findobj(Text) if text.get_visible() and text.get_text().strip()]


def test_no_text_overlaps_another_or_leaves_the_page(canvas: Canvas) -> None:
    texts = _texts(canvas)
    assert len(texts) > 8
    assert_apart_and_on_the_page(canvas, texts)


def test_no_text_lies_on_a_map_but_what_an_empty_panel_says(canvas: Canvas) -> None:
    renderer = canvas.canvas.get_renderer()
    for ax, text in itertools.product(canvas.axes, _texts(canvas)):
        if text.get_text() not in ("diverged", "not reached"):
            inner = ax.get_window_extent(renderer).padded(-1)
            assert not inner.overlaps(text.get_window_extent(renderer)), text.get_text()


def test_text_is_large_enough_and_panels_are_squares(canvas: Canvas) -> None:
    assert min(text.get_fontsize() for text in _texts(canvas)) >= SMALLEST
    maps = _maps(canvas)
    assert canvas.get_figwidth() in (ONE_COLUMN, TWO_COLUMNS)
    sizes = [ax.get_window_extent() for ax in maps]
    for box in sizes:
        assert box.width == pytest.approx(box.height)
        assert box.width > 0.7 * canvas.dpi
        assert box.width == pytest.approx(sizes[0].width)


def test_a_figure_is_as_wide_as_asked() -> None:
    shown = planes(FOUR, TWO_BY_TWO, width=4.0, **BY_BOTH)
    assert draw(shown, TITLES).get_figwidth() == 4.0


def test_every_panel_shows_its_plane_on_one_scale_with_the_run_marked() -> None:
    canvas = drawing("setups and activations")
    norms = []
    for ax, plane_ in zip(_maps(canvas), FOUR, strict=True):
        (mesh,) = _of(ax, QuadMesh)
        norms.append(mesh.norm)
        np.testing.assert_allclose(np.ma.getdata(mesh.get_array()).ravel(), plane_.loss.ravel())
        (marker,) = [line for line in ax.lines if line.get_marker() == "o"]
        assert (list(marker.get_xdata()), list(marker.get_ydata())) == ([0], [0])
        assert ax.get_xlim() == ax.get_ylim() == (-1, 1)
    assert {(type(norm), norm.vmin, norm.vmax) for norm in norms} == {(LogNorm, 0.001, 1e3)}  # six decades
    assert max(one.loss.max() for one in FOUR) > 1e3
    low, high = _bar(canvas).get_ylim()
    assert (low, high) == pytest.approx((0.001, 1e3))
    assert sum(low <= tick <= high for tick in _bar(canvas).get_yticks()) >= 3


def test_contours_are_at_equal_steps_of_the_logarithm_and_the_same_losses_everywhere() -> None:
    canvas = drawing("setups and activations")
    expected = np.geomspace(0.001, 1e3, 14)[1:-1]
    for ax, plane_ in zip(_maps(canvas), FOUR, strict=True):
        (contours,) = _of(ax, ContourSet)
        here = [level for level in expected if plane_.loss.min() < level < plane_.loss.max()]
        np.testing.assert_allclose(contours.levels, here)
    # Of least + ½ steep a² a contour crosses the axis where the formula says, but for the grid's steps.
    (contours,) = _of(_maps(drawing("one"))[0], ContourSet)
    level = contours.levels[-4]
    vertices = np.concatenate([path.vertices for path in contours.get_paths()[-4:-3]])
    assert vertices[:, 0].max() == pytest.approx(min(np.sqrt(2 * (level - 0.05) / 30), 1), rel=0.02)


def test_axes_are_named_by_their_directions_and_panels_by_theirs() -> None:
    canvas = drawing("setups and activations")
    maps = np.array(_maps(canvas), object).reshape(2, 2)
    assert [ax.get_title() for ax in maps[0]] == ["GELU", "ReLU"]
    assert [" ".join(ax.get_xlabel().split()) for ax in maps[1]] == ["Along the top eigenvector of $H$"] * 2
    assert [" ".join(ax.get_ylabel().split()) for ax in maps[:, 0]] == ["Along the second eigenvector of $H$"] * 2
    assert [" ".join(ax.texts[0].get_text().split()) for ax in maps[:, 1]] == ["MLP", "10-layer MLP, BatchNorm"]
    assert _bar(canvas).get_ylabel() == "Loss $L$ (log scale)"
    assert set(DIRECTIONS) == set(MEASUREMENTS["loss_plane"].options["directions"]["enum"])
    (legend,) = canvas.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [r"Loss contours, at equal steps of $\log L$", "Parameters of the run"]


def test_what_was_not_measured_says_so() -> None:
    shown = [ax.texts[0].get_text() for ax in _maps(drawing("nothing"))]
    assert shown == ["diverged", "not reached"]
    assert not any(_of(ax, QuadMesh) for ax in _maps(drawing("nothing")))


def test_points_without_a_number_are_no_colour_and_in_the_legend() -> None:
    one = plane(0, 0)
    one.loss[:3, :5] = np.nan
    one.loss[4, 4] = 0.0
    canvas = draw(planes([one]), TITLES)
    (mesh,) = _of(_maps(canvas)[0], QuadMesh)
    shown = mesh.get_array().reshape(25, 25)
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), np.isnan(one.loss))
    assert shown[4, 4] == mesh.norm.vmin == np.nanmin(one.loss[one.loss > 0])
    assert [text.get_text() for text in canvas.legends[0].get_texts()][-1] == "No finite loss"
