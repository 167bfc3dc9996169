"""Value axes: linear, logarithmic and symmetric logarithmic, with the range and the ticks of a panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.scale import SymmetricalLogTransform
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from nmepkg.analysis.labels import tick_text

_MIN_DECADES = 0.3  # smallest range of a logarithmic axis
_MIN_SHARE = 0.02  # and of a linear one, as a share of its largest value
_MIN_GAP = 10.5  # between ticks, in points
_MOST_TICKS = 8
_STRIDES = (1, 2, 3, 4, 5, 6, 10, 20, 50, 100)  # between ticks, in decades


@dataclass(frozen=True)
class ValueScale:
    """How values lie on an axis.

    Attributes:
      name: ``linear``, ``log`` or ``symlog``.
      threshold: of symlog, the power of ten up to which it is linear, about zero; that part is as long as a decade.
    """

    name: str
    threshold: float = 1.0

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Where values lie, in decades on a logarithmic scale."""
        if self.name == "log":
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log10(np.maximum(values, 0.0))
        if self.name == "symlog":
            return np.asarray(self._symlog().transform_non_affine(values)) / self.threshold
        return values

    def inverse(self, places: np.ndarray) -> np.ndarray:
        if self.name == "log":
            return np.power(10.0, places)
        if self.name == "symlog":
            return np.asarray(self._symlog().inverted().transform_non_affine(places * self.threshold))
        return places

    def _symlog(self) -> SymmetricalLogTransform:
        return SymmetricalLogTransform(10, self.threshold, 1)

    def min_span(self, values: np.ndarray) -> float:
        """The smallest range worth a panel: differences far below it are none."""
        if self.name != "linear":
            return _MIN_DECADES
        return _MIN_SHARE * float(np.abs(values).max(initial=0.0)) or 1.0

    def set(self, ax: Axes) -> None:
        if self.name == "symlog":
            ax.set_yscale("symlog", linthresh=self.threshold, linscale=1)
        else:
            ax.set_yscale(self.name)


def value_scale(name: str, values: np.ndarray) -> ValueScale:
    """The scale of an axis for its values (any shape, NaN where there is none).

    A logarithmic axis has no place for values of 0 and below: where there are some, it is symlog, which its label says.
    Symlog's threshold is the power of ten at or below the lower quartile of the sizes of the values other than zero: values
    far below the usual ones, zero within their noise, take up no decades. Without such a value, symlog is linear.
    """
    if name == "log" and (values <= 0).any():
        name = "symlog"
    if name != "symlog":
        return ValueScale(name)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size:
        return ValueScale("linear")
    return ValueScale(name, float(10.0 ** np.floor(np.log10(np.quantile(sizes, 0.25)) + 1e-9)))


def set_value_ticks(ax: Axes, scale: ValueScale) -> None:
    """Few ticks with room between them; call it when the panel has its final size."""
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    if scale.name == "linear":
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    else:
        ax.yaxis.set_major_locator(FixedLocator(list(_logarithmic_ticks(ax, scale))))


def format_values(ax: Axes, factor: float = 1.0) -> None:
    """Writes the ticks of a value axis as the project writes numbers, times ``factor``."""

    def text(value: float, _: int) -> str:
        low, high = ax.get_ylim()
        zero = ax.get_yscale() == "linear" and abs(value) < 1e-9 * (high - low)  # but for rounding
        return tick_text(0.0 if zero else factor * value)

    ax.yaxis.set_major_formatter(FuncFormatter(text))


def _logarithmic_ticks(ax: Axes, scale: ValueScale) -> np.ndarray:
    """Powers of ten, as dense as they have room, and on symlog 0 and the negative ones."""
    limits = np.array(ax.get_ylim())
    height = axis_length(ax, "height")
    low, high = scale.forward(limits)
    for stride in _STRIDES:
        ticks = _powers(limits, scale, stride)
        if scale.name == "symlog":  # 0 comes first, whatever is beside it
            ticks = ticks[(ticks == 0) | (np.abs(scale.forward(ticks)) / (high - low) * height >= _MIN_GAP)]
        places = scale.forward(ticks) / (high - low) * height
        if ticks.size <= _MOST_TICKS and (np.diff(places) >= _MIN_GAP).all():
            break
    if ticks.size >= 2:
        return ticks
    few = MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(limits[0], limits[1])  # less than two decades
    return np.array([tick for tick in few if limits[0] <= tick <= limits[1] and (tick > 0 or scale.name == "symlog")])


def axis_length(ax: Axes, side: Literal["width", "height"]) -> float:
    """Width or height of a panel, in points."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    inches = figure.get_figwidth() if side == "width" else figure.get_figheight()
    return float(getattr(ax.get_position(), side) * inches * 72)


def _powers(limits: np.ndarray, scale: ValueScale, stride: int) -> np.ndarray:
    largest = float(np.abs(limits).max())
    if scale.name == "log":
        first, last = np.floor(np.log10(limits))
        ticks = 10.0 ** (stride * np.arange(np.floor(first / stride), np.ceil(last / stride) + 1))
    else:
        first = np.ceil(np.log10(scale.threshold) / stride - 1e-9)
        last = np.floor(np.log10(max(largest, scale.threshold)) / stride + 1e-9)
        powers = 10.0 ** (stride * np.arange(first, last + 1))
        ticks = np.concatenate([-powers[::-1], [0.0], powers])
    return ticks[(ticks >= limits[0]) & (ticks <= limits[1])]
