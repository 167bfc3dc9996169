"""Maps of the loss over a plane through the parameters of a run, one a row and column, with contours and the run marked.

All panels have one logarithmic scale and the contours of the same losses, so that they compare. It ends six decades above the
smallest loss: further out, what a plane shows is how fast a net breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import BboxBase

from nmepkg.analysis.axis_labels import axis_label
from nmepkg.analysis.figures.layout import add_legend, fit_height, freeze, wrap
from nmepkg.analysis.figures.ticks import tick_text
from nmepkg.analysis.labels import DIRECTIONS, drawn
from nmepkg.analysis.planes import Plane, Planes
from nmepkg.analysis.style import NEUTRAL, figure_width
from nmepkg.study.placement import BESIDE

_GAP, _LARGEST, _ROOMY = (
    0.1,
    2.2,
    1.6,
)  # inches: between two panels, the largest side of one, and one with room for ticks
_LABEL = 0.25  # inches that labels are shorter than a side, which those of several lines make smaller
_NAMES = 0.3  # inches of the names of rows
_CONTOURS, _CONTOUR = 12, 0.45  # how many, and points of a line
_DECADES = 6.0
_LEAST = 1.05  # factor between the ends of the scale
_COLORS, _NOTHING = "viridis", "#f3f3f3"  # the latter where there is no number
_STATUS = {"not_finite": "diverged", "not_reached": "not reached"}
_AIR = 1.5  # pixels around a label of a tick
_TICK = 0.17  # inches that a tick of the colour bar takes
_MARK: dict[str, Any] = {
    "color": "white",
    "marker": "o",
    "markersize": 4.0,
    "markeredgecolor": "black",
    "markeredgewidth": 0.8,
}


def draw(planes: Planes, titles: Mapping[str, str]) -> Canvas:
    """Draws planes, inside the style's ``rc_context``.

    Args:
      titles: those of the setups.
    """
    rows, columns, figure = len(planes.rows), len(planes.columns), planes.figure
    width = figure_width(figure.width, columns)
    names = _NAMES if figure.rows else 0.0
    side = min((width - BESIDE - names) / columns - _GAP, _LARGEST)
    canvas = Canvas(figsize=(width, rows * side + 1), layout="constrained")
    FigureCanvasAgg(canvas)
    grid = canvas.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    scale = _scale(planes)
    for ax in grid.flat:
        _set_axes(ax, float(planes.measured["range"]), side)
    for plane in planes.planes:
        _map(grid[plane.row, plane.column], plane, scale)
    _set_texts(planes, grid, titles, side)
    _color_bar(canvas, grid, scale, rows * side)
    add_legend(canvas, _legend(planes), figure.title)
    for _ in range(2):  # texts beside the panels leave less than was reckoned with
        fit_height(canvas, dict.fromkeys(grid[:, 0], side))
        side = grid[0, 0].get_window_extent().width / canvas.dpi
    _thin_out(grid[-1, 0])
    freeze(canvas)
    return canvas


def _text(value: float) -> str:
    return tick_text(float(f"{value:.3g}"))


@dataclass(frozen=True)
class _Scale:
    """The ends of the logarithmic scale, and whether some losses are beyond the upper one."""

    low: float
    high: float
    beyond: bool = False

    @property
    def norm(self) -> LogNorm:
        return LogNorm(self.low, self.high)

    @property
    def levels(self) -> np.ndarray:
        """Losses at equal steps of their logarithm, between the ends."""
        return np.geomspace(self.low, self.high, _CONTOURS + 2)[1:-1]


def _scale(planes: Planes) -> _Scale:
    """From the smallest loss above 0 on."""
    pooled = np.concatenate([plane.loss.ravel() for plane in planes.planes])
    there = pooled[np.isfinite(pooled) & (pooled > 0)]
    if not there.size:
        return _Scale(0.1, 1.0)
    low, high = float(there.min()), float(there.max())
    end = max(min(high, low * 10**_DECADES), low * _LEAST)
    return _Scale(low, end, high > end)


def _set_axes(ax: Axes, reach: float, side: float) -> None:
    ax.set_box_aspect(1)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_facecolor(_NOTHING)
    ax.grid(False)
    ticks = reach * np.array([-1, -0.5, 0, 0.5, 1] if side > _ROOMY else [-0.5, 0, 0.5])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, labels=map(_text, ticks))


def _thin_out(ax: Axes) -> None:
    """Leaves of the labels of x, from the right, those that have room: on a small panel some are too wide, as 5 · 10⁻⁴.

    All panels have the same, and what is beside each is as wide.
    """
    shown: list[BboxBase] = []
    texts: list[str] = []
    for label in reversed(ax.get_xticklabels()):
        box = label.get_window_extent().padded(_AIR)
        fits = not box.count_overlaps(shown)
        texts.insert(0, label.get_text() if fits else "")
        shown += [box] if fits else []
    ax.set_xticks(ax.get_xticks(), labels=texts)


def _map(ax: Axes, plane: Plane, scale: _Scale) -> None:
    if plane.coordinates.size:
        at, loss = plane.coordinates, np.ma.masked_invalid(plane.loss)
        shown = np.ma.maximum(loss, scale.low)  # a loss of 0 has the lowest colour
        colors = colormaps[_COLORS].with_extremes(bad=_NOTHING)
        ax.pcolormesh(at, at, shown, norm=scale.norm, cmap=colors, shading="nearest", rasterized=True)
        levels = [level for level in scale.levels if shown.min() < level < shown.max()]
        if levels:
            ax.contour(at, at, shown, levels, colors="white", linewidths=_CONTOUR, alpha=0.7)
        ax.plot([0], [0], linestyle="", **_MARK)
    else:
        text = _STATUS.get(plane.status, plane.status)
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=NEUTRAL)


def _set_texts(planes: Planes, grid: np.ndarray, titles: Mapping[str, str], side: float) -> None:
    figure = planes.figure
    along_u, along_v = map(drawn, DIRECTIONS[planes.measured["directions"]])
    for ax, value in zip(grid[0], planes.columns, strict=True):
        wrap(ax.title, side, drawn(axis_label(figure.columns, value, titles, planes.measured)))
    for ax in grid[-1]:
        wrap(ax.xaxis.label, side - _GAP, along_u)
    for axes, value in zip(grid, planes.rows, strict=True):
        wrap(axes[0].yaxis.label, side - _LABEL, along_v)
        if name := axis_label(figure.rows, value, titles, planes.measured):  # across from the values
            text = axes[-1].annotate(
                "", (1, 0.5), xytext=(4, 0), xycoords="axes fraction", textcoords="offset points", rotation=270,
                va="center", ha="left",
            )  # fmt: skip
            wrap(text, side - _LABEL, drawn(name))


def _color_bar(canvas: Canvas, grid: np.ndarray, scale: _Scale, height: float) -> None:
    colors = ScalarMappable(scale.norm, colormaps[_COLORS])
    extend = "max" if scale.beyond else "neither"
    bar = canvas.colorbar(colors, ax=grid.ravel().tolist(), aspect=14 * len(grid), pad=0.015, extend=extend)
    wrap(bar.ax.yaxis.label, height, "Loss $L$ (log scale)")
    bar.outline.set_linewidth(0.6)
    bar.locator = FixedLocator(_ticks(scale, height))
    bar.minorlocator = NullLocator()
    bar.formatter = FuncFormatter(lambda value, _: _text(value))
    bar.ax.hlines(scale.levels, *bar.ax.get_xlim(), color="white", linewidth=_CONTOUR, alpha=0.7)
    bar.update_ticks()


def _ticks(scale: _Scale, height: float) -> list[float]:
    """Powers of ten; 1, 2 and 5 of each where they have room; on a scale too short for two of those, its ends."""

    def among(subs: tuple[int, ...]) -> list[float]:
        ticks = LogLocator(10, subs=subs).tick_values(scale.low, scale.high)
        return [float(tick) for tick in ticks if scale.low <= tick <= scale.high]

    fine = among((1, 2, 5))
    ticks = fine if len(fine) * _TICK <= height else among((1,))
    return ticks if len(ticks) >= 2 else [scale.low, scale.high]


def _legend(planes: Planes) -> list[Line2D | Patch]:
    casing = [patheffects.withStroke(linewidth=3, foreground="#21918c")]  # on which a white line is seen
    label = r"Loss contours, at equal steps of $\log L$"
    entries: list[Line2D | Patch] = [
        Line2D([], [], color="white", linewidth=2 * _CONTOUR, label=label, path_effects=casing),
        Line2D([], [], linestyle="", label="Parameters of the run", **_MARK),
    ]
    if any(not np.isfinite(plane.loss).all() for plane in planes.planes):
        entries.append(Patch(facecolor=_NOTHING, edgecolor="black", linewidth=0.6, label="No finite loss"))
    return entries
