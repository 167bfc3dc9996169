"""What can be checked without eyes: every map, boundary and label is there, and nothing overlaps."""

import itertools
from collections.abc import Iterator
from functools import cache

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize, PowerNorm
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from nmepkg.analysis.figures.landscape import draw
from nmepkg.analysis.style import ONE_COLUMN, RC, SMALLEST, TWO_COLUMNS
from nmepkg.errors import UserError
from tests.analysis.figures.texts import assert_apart_and_on_the_page
from tests.analysis.planes import arrays

TITLE = "Loss and NME over two weights of a hidden layer"
PANELS = [
    ("ReLU", arrays()),
    ("β-GELU (β = 3)", arrays(3.0)),
    ("β-GELU (β = 10)", arrays(10.0)),
    ("GELU, φ″ := 0", arrays()),
]
FORMS = {
    "one": (PANELS[:1], TITLE),
    "two": (PANELS[:2], ""),
    "three": (PANELS[:3], TITLE),
    "four": (PANELS, " ".join(["Loss and curvature over two weights, with a title that needs a second line"] * 2)),
    "layer 2": ([(label, {**landscape, "layer": np.array(2)}) for label, landscape in PANELS[:3]], TITLE),
}


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(RC):
        yield


@cache
def drawing(name: str) -> Canvas:
    """One of FORMS, drawn once."""
    with matplotlib.rc_context(RC):
        return draw(*FORMS[name])


@pytest.fixture(scope="module", params=FORMS)
def canvas(request: pytest.FixtureRequest) -> Canvas:
    return drawing(request.param)


def _mesh(ax: Axes) -> QuadMesh:
    (mesh,) = [artist for artist in ax.collections if isinstance(artist, QuadMesh)]
    return mesh


def _maps(canvas: Canvas) -> np.ndarray:
    """The panels by row and column."""
    return np.array([ax for ax in canvas.axes if ax.get_label() != "<colorbar>"], object).reshape(3, -1)


def _bars(canvas: Canvas) -> list[Axes]:
    return [ax for ax in canvas.axes if ax.get_label() == "<colorbar>"]


def _texts(canvas: Canvas) -> list[Text]:
    """What shows: not the ticks beyond an axis."""
    shown = [text for text in canvas.findobj(Text) if text.get_visible() and text.get_text().strip()]
    hidden = []
    for ax in canvas.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low <= tick.get_loc() <= high:
                    hidden += [tick.label1, tick.label2]
    return [text for text in shown if not any(text is other for other in hidden)]


def test_no_text_overlaps_another_or_leaves_the_page(canvas: Canvas) -> None:
    texts = _texts(canvas)
    assert len(texts) > 20
    assert_apart_and_on_the_page(canvas, texts)


def test_no_text_lies_on_a_panel_or_a_color_bar(canvas: Canvas) -> None:
    renderer = canvas.canvas.get_renderer()
    for ax, text in itertools.product(canvas.axes, _texts(canvas)):
        inner = ax.get_window_extent(renderer).padded(-1)
        assert not inner.overlaps(text.get_window_extent(renderer)), text.get_text()


def test_a_figure_is_as_wide_as_asked() -> None:
    canvas = draw(PANELS[:2], TITLE, 5.0)
    assert canvas.get_figwidth() == 5.0
    assert _maps(canvas)[0, 0].get_window_extent().width < drawing("two").bbox.width / 2


def test_text_is_large_enough_and_panels_are_squares(canvas: Canvas) -> None:
    assert canvas.get_figwidth() == (ONE_COLUMN if _maps(canvas).shape[1] == 1 else TWO_COLUMNS)
    assert canvas.get_figheight() < 9
    assert min(text.get_fontsize() for text in _texts(canvas)) >= SMALLEST
    for ax in _maps(canvas).flat:
        box = ax.get_window_extent()
        assert box.width == pytest.approx(box.height)
        assert box.width > 1.1 * canvas.dpi
        assert sum(ax.get_xlim()[0] <= tick <= ax.get_xlim()[1] for tick in ax.get_xticks()) >= 3


def test_every_axis_and_color_bar_has_a_label(canvas: Canvas) -> None:
    maps = _maps(canvas)
    layer = 2 if "layer 2" in maps[0, 0].get_ylabel() else 1
    origin = "Weight from {}" if layer == 1 else "Weight from {} of layer 1"
    source = "input" if layer == 1 else "unit"
    for ax in maps[-1]:
        label = " ".join(ax.get_xlabel().split())
        assert label == f"{origin.format(f'{source} 0')} to unit 0 of layer {layer}"
    for ax in maps[:, 0]:
        label = " ".join(ax.get_ylabel().split())
        assert label == f"{origin.format(f'{source} 1')} to unit 1 of layer {layer}"
    labels = [" ".join(bar.get_ylabel().split()) for bar in _bars(canvas)]
    assert labels[0] == r"Loss $L$ (square-root scale)"
    assert labels[1] == r"$\Vert N\Vert_F$ (log scale)"
    assert labels[2].startswith(rf"$\Vert N\Vert_F$ within layer {layer}")
    for bar in _bars(canvas):
        low, high = bar.get_ylim()
        assert sum(low <= tick <= high for tick in bar.get_yticks()) >= 2


def test_maps_show_the_landscapes_on_one_scale_a_row() -> None:
    maps = _maps(drawing("three"))
    for row, key in zip(maps, ("loss", "norm_N", "norm_N_layer"), strict=True):
        norms = [_mesh(ax).norm for ax in row]
        assert len({(type(norm), norm.vmin, norm.vmax) for norm in norms}) == 1
        for ax, (_, landscape) in zip(row, PANELS, strict=False):
            expected = landscape[key]
            shown = np.ma.filled(_mesh(ax).get_array(), 0).reshape(expected.shape)
            if key != "loss":
                expected = np.where(expected > 0, np.maximum(expected, norms[0].vmin), 0)
                np.testing.assert_array_equal(np.ma.getmaskarray(_mesh(ax).get_array()).ravel(), expected.ravel() == 0)
            np.testing.assert_array_equal(shown, expected)
    assert [type(_mesh(row[0]).norm) for row in maps] == [PowerNorm, LogNorm, LogNorm]
    assert [text.get_title() for text in maps[0]] == [
        "ReLU",
        r"$\beta$-GELU ($\beta$ = 3)",
        r"$\beta$-GELU ($\beta$ = 10)",
    ]


def test_all_zero_and_narrow_ranges_are_linear_from_zero() -> None:
    flat = {**arrays(), "norm_N": np.linspace(2, 4, 31 * 31).reshape(31, 31)}
    canvas = draw([("ReLU", flat)], TITLE)
    norms = [_mesh(ax).norm for ax in _maps(canvas)[1:, 0]]
    assert [(type(norm), norm.vmin, norm.vmax) for norm in norms] == [(Normalize, 0, 4), (Normalize, 0, 1)]
    assert [bar.get_ylabel() for bar in _bars(canvas)[1:]] == [r"$\Vert N\Vert_F$", r"$\Vert N\Vert_F$ within layer 1"]


def test_a_logarithmic_scale_ends_at_three_decades() -> None:
    norm = _mesh(_maps(draw([("β-GELU", arrays(10.0))], TITLE))[2, 0]).norm
    assert (norm.vmin, norm.vmax) == pytest.approx(
        (arrays(10.0)["norm_N_layer"].max() / 1000, arrays(10.0)["norm_N_layer"].max())
    )


def test_boundaries_are_where_units_bend_and_the_legend_tells_their_layers() -> None:
    canvas = drawing("one")
    for ax in _maps(canvas).flat:
        boundaries = [
            artist for artist in ax.collections if isinstance(artist, ContourSet) and list(artist.levels) == [0]
        ]
        assert len(boundaries) == 3  # of four units, one is always on
        first, second, oblique = boundaries
        np.testing.assert_allclose(first.get_paths()[0].vertices[:, 0], 0.5)
        np.testing.assert_allclose(second.get_paths()[0].vertices[:, 1], -1.0)
        assert first.get_linestyle() == second.get_linestyle() != oblique.get_linestyle()
    (legend,) = canvas.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [
        "Region boundary (layer 1)",
        "Region boundary (layer 2)",
        r"Loss contours, at equal steps of $\sqrt{L}$",
        r"$\Vert N\Vert_F = 0$ exactly",
    ]


def test_contours_of_a_piecewise_quadratic_loss_are_evenly_spaced() -> None:
    canvas = drawing("one")
    (contours,) = [
        artist
        for artist in _maps(canvas)[0, 0].collections
        if isinstance(artist, ContourSet) and len(artist.levels) > 1
    ]
    roots = np.sqrt([0, *contours.levels, arrays()["loss"].max()])
    np.testing.assert_allclose(np.diff(roots), roots[-1] / (len(roots) - 1))


def test_more_activations_than_have_room_are_refused() -> None:
    with pytest.raises(UserError, match="room for 4 activations, not 5"):
        draw([*PANELS, PANELS[0]], TITLE)
