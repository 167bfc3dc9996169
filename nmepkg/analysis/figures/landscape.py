"""Maps over two weights: loss, ‖N‖ and its part within a layer, an activation a column, with the boundaries of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize, PowerNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

from nmepkg.analysis.figures.layout import add_legend, fit_height, freeze, wrap
from nmepkg.analysis.figures.ticks import tick_text
from nmepkg.analysis.labels import drawn
from nmepkg.analysis.landscapes import Panel
from nmepkg.analysis.style import figure_width
from nmepkg.errors import UserError
from nmepkg.study.placement import MOST_LANDSCAPES

Dashes = tuple[float, Sequence[float]]

# In inches: labels on the left and colour bars, what is between two panels, and the largest side of a panel.
_MARGIN, _GAP, _LARGEST = 1.35, 0.1, 2.2
_LOSS_CONTOURS = 10
_DECADES = 3  # of a logarithmic scale, down from the largest value; what is smaller has its lowest colour
_ZERO = "white"  # of what is 0, and no small number
_LINE, _HALO, _CONTOUR = 0.7, 0.7, 0.45  # points
_DASHES: Sequence[Dashes] = ((0, ()), (0, (4, 2)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)))  # by layer; the first is solid


@dataclass(frozen=True)
class _Row:
    """One quantity, in a row of panels that share a scale."""

    key: str
    label: str
    colors: str
    norm: Normalize

    @property
    def low(self) -> float:
        return float(self.norm.vmin or 0)

    @property
    def high(self) -> float:
        return float(self.norm.vmax or 0)


def draw(panels: Sequence[Panel], title: str, width: float | None = None) -> Canvas:
    """Draws landscapes that are over the same weights, inside the style's ``rc_context``.

    Every row has one colour scale, so panels compare. The contours of the loss L are at equal steps of √L: in a region of a
    ReLU network with one logit, √(2L) = |z − t| is linear in weights of one layer, and its contours straight and even.

    Args:
      panels: (label of the activation, landscape as of ``nmepkg.landscape.compute.compute``).
      title: above the figure, or "".
      width: of the figure in inches; None: that of a column or of a page's text.

    Raises:
      UserError: more activations than have room.
    """
    columns = len(panels)
    if columns > MOST_LANDSCAPES:
        raise UserError(
            f"a figure of landscapes has room for {MOST_LANDSCAPES} activations, not {columns}; divide them between two"
        )
    width = figure_width(width, columns)
    side = min((width - _MARGIN) / columns - _GAP, _LARGEST)
    rows = _rows([landscape for _, landscape in panels])
    canvas = Canvas(figsize=(width, len(rows) * side + 1), layout="constrained")
    FigureCanvasAgg(canvas)
    grid = canvas.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for row, axes in zip(rows, grid, strict=True):
        for ax, (_, landscape) in zip(axes, panels, strict=True):
            mesh = _map(ax, row, landscape)
        _color_bar(canvas, axes, mesh, row, side)
        wrap(axes[0].yaxis.label, side, *_weight(panels[0][1], 1))
    for top, bottom, (label, landscape) in zip(grid[0], grid[-1], panels, strict=True):
        wrap(top.title, side, drawn(label))
        wrap(bottom.xaxis.label, side, *_weight(landscape, 0))
    add_legend(canvas, _legend(panels), title)
    fit_height(canvas, dict.fromkeys(grid[:, 0], side))
    freeze(canvas)
    return canvas


def _rows(landscapes: Sequence[Mapping[str, np.ndarray]]) -> list[_Row]:
    loss = max(float(landscape["loss"].max()) for landscape in landscapes)
    rows = [_Row("loss", r"Loss $L$ (square-root scale)", "viridis", PowerNorm(0.5, 0, loss or 1))]
    within = rf"$\Vert N\Vert_F$ within layer {int(landscapes[0]['layer'])}"
    for key, label in (("norm_N", r"$\Vert N\Vert_F$"), ("norm_N_layer", within)):
        norm = _norm([landscape[key] for landscape in landscapes])
        rows.append(_Row(key, f"{label} (log scale)" if isinstance(norm, LogNorm) else label, "cividis", norm))
    return rows


def _norm(values: Sequence[np.ndarray]) -> Normalize:
    """Logarithmic where the values span more than a decade, but for their smallest hundredth and zeros."""
    pooled = np.concatenate([np.ravel(value) for value in values])
    high, positive = float(pooled.max()), pooled[pooled > 0]
    low = float(np.quantile(positive, 0.01)) if positive.size else 0.0
    if high <= 10 * low or high == 0:
        return Normalize(0, high or 1)
    return LogNorm(max(low, high / 10**_DECADES), high)


def _map(ax: Axes, row: _Row, landscape: Mapping[str, np.ndarray]) -> QuadMesh:
    w1, w2, values = landscape["w1"], landscape["w2"], landscape[row.key]
    if row.key != "loss":
        values = np.ma.masked_equal(np.where(values > 0, np.maximum(values, row.low), 0), 0)
    colors = colormaps[row.colors].with_extremes(bad=_ZERO)
    mesh = ax.pcolormesh(w1, w2, values, norm=row.norm, cmap=colors, shading="nearest", rasterized=True)
    if row.key == "loss":
        levels = (np.arange(1, _LOSS_CONTOURS) / _LOSS_CONTOURS) ** 2 * row.high
        ax.contour(w1, w2, values, levels, colors="white", linewidths=_CONTOUR, alpha=0.7)
    for layer, inputs in _bending(landscape):
        lines = ax.contour(w1, w2, inputs, [0.0], colors="black", linewidths=_LINE)
        lines.set_linestyle(_dashes(layer))
        lines.set_path_effects([patheffects.withStroke(linewidth=_LINE + _HALO, foreground="white", alpha=0.6)])
    ax.set_box_aspect(1)
    ax.set_xlim(w1[0], w1[-1])
    ax.set_ylim(w2[0], w2[-1])
    ax.grid(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    return mesh


def _color_bar(canvas: Canvas, axes: Sequence[Axes], mesh: QuadMesh, row: _Row, side: float) -> None:
    bar = canvas.colorbar(
        mesh, ax=list(axes), aspect=14, pad=0.015, extend="min" if isinstance(row.norm, LogNorm) else "neither"
    )
    wrap(bar.ax.yaxis.label, side, row.label)
    bar.outline.set_linewidth(0.6)
    bar.locator = _locator(row, side)
    bar.minorlocator = NullLocator()
    bar.formatter = FuncFormatter(lambda value, _: tick_text(value))
    bar.update_ticks()


def _locator(row: _Row, side: float) -> Locator:
    if isinstance(row.norm, LogNorm):
        return LogLocator(10, subs=(1, 2, 5) if side > 1.5 else (1,))
    if not isinstance(row.norm, PowerNorm):
        return MaxNLocator(5)
    even = [float(f"{row.norm.inverse(part):.2g}") for part in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    return FixedLocator([value for value in even if value <= row.high])


def _bending(landscape: Mapping[str, np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Layer and inputs of every unit whose input changes its sign within the map."""
    for (layer, _), inputs in zip(landscape["units"], landscape["preactivations"], strict=True):
        if inputs.min() < 0 < inputs.max():
            yield int(layer), inputs


def _dashes(layer: int) -> Dashes:
    return _DASHES[(layer - 1) % len(_DASHES)]


def _legend(panels: Sequence[Panel]) -> list[Line2D | Patch]:
    layers = sorted({layer for _, landscape in panels for layer, _ in _bending(landscape)})
    labels = {f"Region boundary (layer {layer})": _dashes(layer) for layer in layers}
    boundaries = [
        Line2D([], [], color="black", linewidth=_LINE, linestyle=dashes, label=label)
        for label, dashes in labels.items()
    ]
    # A white line is seen on one of the loss's colours.
    casing = [patheffects.withStroke(linewidth=3, foreground="#21918c")]
    label = r"Loss contours, at equal steps of $\sqrt{L}$"
    contours = Line2D([], [], color="white", linewidth=2 * _CONTOUR, label=label, path_effects=casing)
    if not any((landscape[key] == 0).any() for _, landscape in panels for key in ("norm_N", "norm_N_layer")):
        return [*boundaries, contours]
    zero = Patch(facecolor=_ZERO, edgecolor="black", linewidth=_LINE, label=r"$\Vert N\Vert_F = 0$ exactly")
    return [*boundaries, contours, zero]


def _weight(landscape: Mapping[str, np.ndarray], position: int) -> tuple[str, str]:
    """The label of an axis, in two lines."""
    layer, (source, unit) = int(landscape["layer"]), landscape["weights"][position]
    origin = f"input {source}" if layer == 1 else f"unit {source} of layer {layer - 1}"
    return f"Weight from {origin}", f"to unit {unit} of layer {layer}"
