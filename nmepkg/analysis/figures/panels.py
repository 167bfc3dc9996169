"""The axes of a figure of curves: panels by row and column, and below each a strip for diverged runs and one of differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.style import figure_width

VALUES, DIFFERENCES = 1.65, 1.2  # heights in inches


@dataclass(frozen=True)
class Panel:
    """Axes below one another that share x; ``diverged`` and ``differences`` are None where there is nothing to show in them."""

    values: Axes
    diverged: Axes | None
    differences: Axes | None

    @property
    def lowest(self) -> Axes:
        """The one that has the labels of x."""
        return self.differences or self.diverged or self.values


Panels = dict[tuple[int, int], Panel]


def new_panels(
    columns: int, width: float, strips: Sequence[float], differences: bool
) -> tuple[Canvas, Panels, dict[Axes, float]]:
    """A figure with its panels, empty.

    Args:
      width: of the figure in inches.
      strips: for each row, the height of its strip in inches; 0: it has none.
      differences: whether each panel has one of differences.

    Returns:
      The figure, its panels by row and column, and the heights of the axes of the first column.
    """
    rows = [[VALUES] + [strip] * (strip > 0) + [DIFFERENCES] * differences for strip in strips]
    heights = [height for row in rows for height in row]
    canvas = Canvas(figsize=(width, sum(heights) + 1), layout=ConstrainedLayoutEngine(h_pad=0.025, hspace=0))
    FigureCanvasAgg(canvas)
    axes = iter(canvas.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights}))
    panels: Panels = {}
    first: dict[Axes, float] = {}
    for row, strip in enumerate(strips):
        values = next(axes)
        crosses = next(axes) if strip else [None] * columns
        below = next(axes) if differences else [None] * columns
        for column, parts in enumerate(zip(values, crosses, below, strict=True)):
            panel = panels[row, column] = Panel(*parts)
            shown = [(name, ax) for name, ax in vars(panel).items() if ax is not None]
            for name, ax in shown:
                ax.set_label(name)
                if ax is not panel.values:
                    ax.sharex(panel.values)
                if ax is not panel.lowest:
                    ax.tick_params(axis="x", labelbottom=False)
            if column == 0:
                first |= {ax: height for (_, ax), height in zip(shown, rows[row], strict=True)}
    return canvas, panels, first


def panel_width(curves: Curves) -> float:
    """Width of a panel in inches, about: what's left for a text beside the value axis."""
    columns = len(curves.columns)
    return figure_width(curves.figure.width, columns) / columns - 0.5
