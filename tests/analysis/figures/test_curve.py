"""What can be checked without eyes: nothing overlaps, nothing is too small, everything is drawn."""

import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from nmepkg.analysis.figures.curve import draw
from nmepkg.analysis.figures.ticks import tick_text
from nmepkg.analysis.style import ONE_COLUMN, RC, SMALLEST, TWO_COLUMNS, rc
from tests.analysis.figures import forms
from tests.analysis.samples import ABLATED, GELU, RELU, SYNTHETIC, Sample, figure, grid

TITLES = forms.TITLES
RHO = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
DENSE = (0.0, 1e-4, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(RC):
        yield


def _plain(setup, method, activation, rho, seed):
    return 0.6 + 0.02 * (rho > 0) - (0.2 * rho if method == "psam" else 0.0) + 0.004 * seed


def _diverging(setup, method, activation, rho, seed):
    if rho >= 0.1 and (method == "psam" or seed == 0):
        return None
    return _plain(setup, method, activation, rho, seed)


def _collapsing(setup, method, activation, rho, seed):
    return 0.1 if rho >= 0.1 and method == "psam" else 0.95 + 0.004 * seed


def _figure_1(store: Path) -> Canvas:
    sample = grid(store, _plain, setups=("mlp", "resnet"), rho=RHO)
    title = " ".join(["SAM and PSAM against the radius ρ, with a title that needs a second line"] * 2)
    return draw(sample.collect(figure(rows="setup", columns="activation", lines="method", title=title)), TITLES)


def _figure_2(store: Path) -> Canvas:
    activations = (RELU, GELU, ABLATED, SYNTHETIC)
    sample = grid(store, _plain, setups=("mlp", "resnet"), methods=("psam",), activations=activations, rho=RHO, seeds=2)
    return draw(sample.collect(figure(columns="setup", lines="activation", report="best_validation")), TITLES)


def _single(store: Path) -> Canvas:
    sample = grid(store, lambda *_: 0.987, methods=("sam",), activations=(GELU,), rho=RHO, seeds=1)
    return draw(sample.collect(figure(title="All equal, one seed")), TITLES)


def _diverged(store: Path) -> Canvas:
    sample = grid(store, _diverging, rho=RHO)
    return draw(sample.collect(figure(columns="activation", lines="method")), TITLES)


def _dense(store: Path) -> Canvas:
    methods = ("sam", "usam", "psam", "psam_gn", "psam_nme", "psam_fd")
    sample = grid(store, _collapsing, setups=("mlp", "resnet"), methods=methods, activations=(RELU,), rho=DENSE)
    return draw(sample.collect(figure(rows="setup", lines="method", y=("train_accuracy",))), TITLES)


def _partly(setup, method, activation, rho, seed):
    """PSAM is 2 points better than SAM in every seed; at the largest ρ it collapses, and two seeds diverge."""
    if method == "psam" and rho == 0.1:
        return None if seed else 0.12
    return 0.7 + 0.03 * seed + 0.02 * (method == "psam" and rho > 0)


def _differences(store: Path, chance: Mapping[str, float] | None = None, **changes: Any) -> Canvas:
    sample = grid(store, _partly, setups=("mlp", "resnet"), rho=(0.0, 0.001, 0.01, 0.1))
    axes = {"rows": "setup", "columns": "activation", "lines": "method", "differences": "first_line", **changes}
    return draw(sample.collect(figure(**axes)), TITLES, chance)


def _beta(store: Path) -> Canvas:
    sample = Sample(store)
    for method, beta, seed in itertools.product(("sgd", "psam"), (1.0, 10.0, 1e3, 1e4, 1e6), range(2)):
        activation = {"name": "beta_gelu", "beta": beta}
        rho = 0.1 if method == "psam" else 0.0
        sample.add(
            0.9 + 0.01 * seed, method=method, activation=activation, strength=rho, seed=seed, axes={"beta": beta}
        )
    return draw(sample.collect(figure(x="beta", lines="method")), TITLES)


FORMS = {
    "4": forms.penalties,
    "5": lambda store: forms.penalties(store, forms.HUTCHINSON, 2, samples=5),
    "6": forms.trajectories,
    "6 linear": lambda store: forms.trajectories(store, "linear"),
    "6 logarithmic steps": lambda store: forms.trajectories(store, at=(1, 3, 10, 30, 100, 300, "final"), x_scale="log"),
    "8": forms.sharpness,
    "9": forms.fractions,
    "9 logarithmic": lambda store: forms.fractions(store, y_scale="log"),
    "9 both": forms.both_fractions,
    "columns of metrics": forms.accuracies,
    "huge values": forms.explosion,
    "huge values, linear": lambda store: forms.explosion(store, "linear"),
    "baselines of quantities": forms.at_strengths,
    "all lost": forms.lost,
}
ALL: dict[str, Callable[[Path], Canvas]] = {
    "differences": _differences,
    "1": _figure_1,
    "2": _figure_2,
    "single": _single,
    "diverged": _diverged,
    "dense": _dense,
    "beta": _beta,
    **{name: lambda store, form=form: draw(form(store), TITLES) for name, form in FORMS.items()},
}


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Canvas]:
    """Figures by their names in ALL, each drawn once."""

    @cache
    def draw_once(name: str) -> Canvas:
        with matplotlib.rc_context(RC):
            return _drawn(ALL[name](tmp_path_factory.mktemp("store")))

    return draw_once


@pytest.fixture(params=["1", "2", "single", "diverged", "dense", "beta", "differences", *FORMS])
def canvas(request: pytest.FixtureRequest, drawing: Callable[[str], Canvas]) -> Canvas:
    return drawing(request.param)


def _texts(canvas: Canvas) -> list[Text]:
    return [text for text in canvas.findobj(Text) if text.get_visible() and text.get_text().strip()]


def _axes(canvas: Canvas, part: str = "values") -> list[Axes]:
    """The axes of a figure that show values, runs that diverged, or differences."""
    return [ax for ax in canvas.axes if ax.get_label() == part]


def _drawn(canvas: Canvas) -> Canvas:
    canvas.draw_without_rendering()
    return canvas


def _ticks(canvas: Canvas) -> Iterator[list[Text]]:
    for ax in canvas.axes:
        labels = [text for text in ax.get_xticklabels() if text.get_text()]
        if ax.xaxis.get_tick_params()["labelbottom"]:
            yield labels
        if ax.get_label() == "diverged":
            continue
        low, high = ax.get_ylim()
        yield [text for text in ax.get_yticklabels() if low <= text.get_position()[1] <= high]


def test_nothing_overlaps_and_nothing_leaves_the_page(canvas: Canvas) -> None:
    renderer = canvas.canvas.get_renderer()
    (legend,) = canvas.legends
    legend_box = legend.get_window_extent(renderer)
    panels = [ax.get_tightbbox(renderer) for ax in canvas.axes]
    boxes = [legend_box, *panels]
    if canvas.get_suptitle():
        boxes.append(canvas._suptitle.get_window_extent(renderer))
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    for box in boxes:
        assert canvas.bbox.x0 <= box.x0
        assert canvas.bbox.y0 <= box.y0
        assert box.x1 <= canvas.bbox.x1
        assert box.y1 <= canvas.bbox.y1
    for labels in _ticks(canvas):
        assert len(labels) >= 3
        assert not any(
            one.get_window_extent(renderer).overlaps(other.get_window_extent(renderer))
            for one, other in itertools.combinations(labels, 2)
        )


@pytest.mark.parametrize("width", [4.0, 10.0])
def test_a_figure_is_as_wide_as_asked(width: float, tmp_path: Path) -> None:
    sample = grid(tmp_path, _plain, rho=RHO)
    canvas = draw(sample.collect(figure(columns="activation", lines="method", width=width)), TITLES)
    assert canvas.get_figwidth() == width
    for text in _texts(canvas):
        box = text.get_window_extent()
        assert canvas.bbox.x0 <= box.x0
        assert box.x1 <= canvas.bbox.x1


def test_text_is_large_enough_at_the_final_width(canvas: Canvas) -> None:
    assert canvas.get_figwidth() in (ONE_COLUMN, TWO_COLUMNS)
    assert min(text.get_fontsize() for text in _texts(canvas)) >= SMALLEST
    heights = [ax.get_window_extent().height / canvas.dpi for ax in _axes(canvas)]
    assert 1.4 < min(heights) <= max(heights) < 2.1


def test_no_panel_title_is_wider_than_its_panel(canvas: Canvas) -> None:
    for ax in _axes(canvas):
        assert ax.title.get_window_extent().width <= ax.get_window_extent().width
        assert ax.yaxis.label.get_window_extent().height <= ax.get_window_extent().height + 10


def test_every_grid_value_has_a_tick_and_most_have_a_label(drawing: Callable[[str], Canvas]) -> None:
    (ax,) = drawing("single").axes
    assert ax.get_xticks().tolist() == list(RHO[1:])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3"]
    assert ax.get_xscale() == "log"


def test_diverged_runs_are_crosses_at_their_x_with_their_number(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("diverged")
    values, ax = _axes(canvas)[0], _axes(canvas, "diverged")[0]
    assert not [line for line in values.lines if line.get_marker() == "x"]  # where a height reads as a number
    assert ax.get_window_extent().y1 < values.get_window_extent().y0
    assert ax.get_xlim() == values.get_xlim()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["diverged"]
    crosses = [(line.get_xdata()[0], line.get_color()) for line in ax.lines if line.get_marker() == "x"]
    assert sorted(x for x, _ in crosses) == [0.1, 0.1, 0.3, 0.3]
    assert len({color for _, color in crosses}) == 2
    assert [text.get_text() for text in ax.texts] == ["3", "3"]
    assert "Diverged runs" in [text.get_text() for text in canvas.legends[0].get_texts()]


def test_every_seed_is_drawn(drawing: Callable[[str], Canvas]) -> None:
    for ax in drawing("1").axes:
        dots = [line for line in ax.lines if line.get_marker() == "."]
        assert sum(len(line.get_xdata()) for line in dots) == 2 * 6 * 3 + 3  # two curves, and the baseline


def test_the_legend_names_lines_baselines_and_how_seeds_are_shown(drawing: Callable[[str], Canvas]) -> None:
    (legend,) = drawing("2").legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "ReLU",
        "GELU",
        r"GELU, $\varphi''$ := 0",
        r"ReLU, synthetic $\varphi''$ ($\beta$ = 100)",
        r"SGD ($\rho$ = 0), ReLU",
        r"SGD ($\rho$ = 0), GELU",
        "One of 2 seeds (beside its mean)",  # their interval is left to the table
    ]
    (legend,) = drawing("1").legends
    assert [text.get_text() for text in legend.get_texts()][-2:] == [
        "One of 3 seeds (beside its mean)",
        "95 % interval (Student-t, 3 seeds)",
    ]


def test_one_seed_has_neither_band_nor_a_legend_for_it(drawing: Callable[[str], Canvas]) -> None:
    assert [text.get_text() for text in drawing("single").legends[0].get_texts()] == ["SAM", r"SGD ($\rho$ = 0)"]


def test_a_long_title_takes_several_lines(drawing: Callable[[str], Canvas]) -> None:
    assert "\n" in drawing("1").get_suptitle()


def test_panels_of_one_setup_share_their_range(drawing: Callable[[str], Canvas]) -> None:
    axes = drawing("1").axes
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_all_runs_may_diverge(tmp_path: Path) -> None:
    sample = grid(tmp_path, lambda *_: None, methods=("psam",), activations=(RELU,))
    (ax,) = _axes(_drawn(draw(sample.collect(figure()), TITLES)), "diverged")
    assert [text.get_text() for text in ax.texts] == ["3", "3", "3"]  # at 0.01, at 0.1 and for the baseline


def _crosses(ax: Axes) -> list[float]:
    return sorted(float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "x")


def _xlabels(canvas: Canvas) -> set[str]:
    return {ax.get_xlabel().replace("\n", " ") for ax in canvas.axes if ax.get_xlabel()}


def _legend(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.legends[0].get_texts()]


def test_training_is_drawn_seed_by_seed_with_its_mean(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("6")
    plain = _axes(canvas)[0]
    thin = [line for line in plain.lines if line.get_linewidth() == 0.6 and len(line.get_xdata()) > 2]
    thick = [line for line in plain.lines if line.get_linewidth() > 1]
    assert (len(thin), len(thick)) == (3 * 5, 3)
    assert thick[0].get_xdata().tolist() == [0, 50, 100, 200, 300, 400, 500, 600]
    assert _legend(canvas) == [
        "tr $H$", "tr $G$", "tr $N$", "One of 5 seeds", "Mean of the runs left", "Diverged by this step"
    ]  # fmt: skip


def test_a_run_that_diverges_in_training_has_one_cross(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("6")
    ax, strip = _axes(canvas)[4], _axes(canvas, "diverged")[0]  # the Hessian's trace, GELU
    # Seeds 1 to 4 are last measured at 200, 200, 300, 300, seed 0 at 500; its parameters are lost at 507, by 600.
    assert _crosses(strip) == [300, 400, 600]
    assert [text.get_text() for text in strip.texts] == ["2", "2"]
    assert not _crosses(_axes(canvas, "diverged")[1])
    assert len(_axes(canvas, "diverged")) == 2, "no other row has a strip"
    means = [line for line in ax.lines if len(line.get_xdata()) > 2 and line.get_linewidth() > 0.6]
    ends = [(line.get_xdata()[np.isfinite(line.get_ydata())].max(), line.get_markerfacecolor()) for line in means]
    assert ends[1::2] == [(500, "white")] * 3  # of the runs left
    assert {end for end, _ in ends[::2]} == {200}
    assert len(ax.collections) == 3, "dots lead to them"


def test_panels_of_one_setup_share_their_steps(drawing: Callable[[str], Canvas]) -> None:
    assert len({ax.get_xlim() for ax in drawing("6").axes}) == 1


def test_zero_is_drawn_where_values_have_both_signs(drawing: Callable[[str], Canvas]) -> None:
    def zeros(canvas: Canvas) -> list[int]:
        return [sum(list(line.get_ydata()) == [0, 0] for line in ax.lines) for ax in _axes(canvas)]

    assert zeros(drawing("6")) == [1, 0] * 4  # ReLU's tr N is zero
    assert zeros(drawing("4")) == [0] * 4


def test_a_symmetric_logarithmic_axis_says_so(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("6")
    assert "(linear within ±1, logarithmic beyond)" in canvas.axes[0].get_ylabel().replace("\n", " ")
    assert canvas.axes[0].get_yscale() == "symlog"


def test_a_line_without_a_number_is_crosses_and_in_the_legend(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("all lost")
    assert _crosses(_axes(canvas, "diverged")[0]) == [
        0.001,
        0.01,
        0.02,
        0.1,
    ]  # 0.02: beside the axis, of strength 0
    assert _legend(canvas) == ["Penalty on tr $N$", "Diverged runs"]


def test_huge_values_stay_in_their_panel(drawing: Callable[[str], Canvas]) -> None:
    for ax in _axes(drawing("huge values")):
        low, high = ax.get_ylim()
        assert low < -3e12 < 1e2 < high


def test_the_texts_of_figures_8_and_9(drawing: Callable[[str], Canvas]) -> None:
    eight, nine = drawing("8"), drawing("9")
    assert _legend(eight)[:2] == ["SGD", r"PSAM ($\rho$ = 0.1)"]
    assert _legend(nine)[:2] == ["At initialisation", "After training"]
    assert (
        nine.axes[0].get_ylabel().replace("\n", " ") == r"Fraction of units with |$\varphi''$| above 1 % of its maximum"
    )
    for canvas in (eight, nine):
        assert canvas.axes[0].get_xlabel() == r"Sharpness $\beta$ of $\beta$-GELU"
        assert [text.get_text() for text in canvas.axes[0].get_xticklabels()][::6] == [
            tick_text(1, powers=True),
            tick_text(1e6),
        ]


def test_the_texts_of_figures_4_and_5(drawing: Callable[[str], Canvas]) -> None:
    four, five = drawing("4"), drawing("5")
    assert _legend(four)[:4] == [
        "Penalty on tr $G$ (sampled labels)",
        "Penalty on tr $H$",
        "Weight noise",
        r"SGD ($\sigma^2$ = 0)",
    ]
    assert _legend(five)[:2] == ["Penalty on tr $G$ (Hutchinson, samples = 5)", "Penalty on tr $H$ (samples = 5)"]
    assert _xlabels(four) == {r"Penalty strength or noise variance $\sigma^2$"}
    assert _xlabels(five) == {r"Penalty strength $\sigma^2$"}


def test_a_mean_of_the_runs_left_does_not_look_like_one_of_all(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("differences")
    assert "Mean of the runs left" in _legend(canvas)
    for ax in _axes(canvas):
        (hollow,) = (line for line in ax.lines if line.get_markerfacecolor() == "white")
        assert [x for x, y in zip(hollow.get_xdata(), hollow.get_ydata(), strict=True) if np.isfinite(y)] == [0.1]
        assert not any(
            line.get_marker() not in ("x", ".", "None") and line.get_linestyle() != "None" and 0.12 in line.get_ydata()
            for line in ax.lines
        )


def test_differences_are_below_the_values_over_the_same_x(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("differences")
    for values, ax in zip(_axes(canvas), _axes(canvas, "differences"), strict=True):
        assert ax.get_window_extent().y1 < values.get_window_extent().y0
        assert ax.get_xlim() == values.get_xlim()
        means = [line for line in ax.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(means[0].get_ydata()[:2], 0.02)
        assert any(list(line.get_ydata()) == [0, 0] for line in ax.lines)
    assert _axes(canvas, "differences")[0].get_ylabel() == "Minus SAM (points)"
    assert not _axes(drawing("1"), "differences")


def test_chance_is_a_line_where_a_panel_comes_near_it(tmp_path: Path, drawing: Callable[[str], Canvas]) -> None:
    canvas = _differences(tmp_path, {"mlp": 0.1, "resnet": 0.9})

    def lines(ax: Axes) -> list[float]:
        return [line.get_ydata()[0] for line in ax.lines if list(line.get_ydata()) in ([0.1, 0.1], [0.9, 0.9])]

    assert [lines(ax) for ax in _axes(canvas)] == [[0.1], [0.1], [], []]
    assert "Chance (10 %)" in _legend(canvas)
    low, _ = _axes(canvas)[0].get_ylim()
    assert low < 0.1
    assert "Chance (10 %)" not in _legend(drawing("differences"))


def test_the_name_of_a_row_is_across_from_the_values(drawing: Callable[[str], Canvas]) -> None:
    canvas = drawing("6")
    labels = [ax.get_ylabel().replace("\n", " ") for ax in _axes(canvas)]
    assert {label for label in labels if label} == {"Trace (linear within ±1, logarithmic beyond)"}
    names = [text.get_text().replace("\n", " ") for ax in _axes(canvas)[1::2] for text in ax.texts]
    assert r"Penalty on tr $H$ ($\sigma^2$ = 0.001)" in names


def test_lines_of_setups_have_their_titles_and_the_studys_colours(tmp_path: Path) -> None:
    sample = grid(tmp_path, _plain, setups=("mlp", "resnet"), methods=("psam",), activations=(GELU,), rho=RHO)
    style = {"colors": {"mlp": "tab:red", TITLES["resnet"]: "#123456"}}
    canvas = draw(sample.collect(figure(lines="setup", style=style, differences="first_line")), TITLES)
    lines = canvas.legends[0].get_lines()
    assert [line.get_label() for line in lines[:2]] == [TITLES["mlp"], TITLES["resnet"]]
    assert [line.get_color() for line in lines[:2]] == ["#d62728", "#123456"]


def test_text_of_an_svg_stays_text_with_its_signs(tmp_path: Path) -> None:
    sample = grid(tmp_path, _plain, methods=("psam",), activations=(ABLATED, SYNTHETIC), rho=RHO)
    buffer = io.BytesIO()
    with matplotlib.rc_context(rc({"svg": "text", "font": "STIXGeneral", "font_size": 9})):
        canvas = draw(sample.collect(figure(lines="activation")), TITLES)
        canvas.savefig(buffer, format="svg")
    texts = re.findall(r"<text[^>]*>(.*?)</text>", buffer.getvalue().decode(), re.DOTALL)
    assert {"Penalty strength ρ", "GELU, φ″ := 0", "ReLU, synthetic φ″ (β = 100)"} <= set(texts)
    assert "font-size: 9px; font-family: 'STIXGeneral'" in buffer.getvalue().decode()
    assert {text.get_fontsize() for text in canvas.legends[0].get_texts()} == {8.0}
