"""Ticks and their labels: Matplotlib's, but where it has none that fit these figures; each place says why."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    Formatter,
    Locator,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from matplotlib.transforms import BboxBase

from nmepkg.analysis.figures.scales import ValueScale
from nmepkg.analysis.labels import number
from nmepkg.analysis.style import smallest

_STEPS = [1, 2, 2.5, 5, 10]  # between round numbers, but for powers of ten
_GAP = 2.0  # on either side of a label, in points
_MOST = 8  # ticks of a symlog axis
_power_of_ten = LogFormatterSciNotation()


def tick_text(value: float, powers: bool = False) -> str:
    """A number as a figure shows it: far from 1, or where ``powers`` asks for it, with a power of ten, in mathtext.

    ScalarFormatter would write the power once, at the end of the axis, where it lies on long axis labels and titles.
    """
    if value == 0 or not (powers or _is_far(value)):
        return Formatter.fix_minus(number(value))
    return _power_of_ten(value)


def tick_texts(values: Sequence[float]) -> list[str]:
    """The texts of the ticks of one axis, all in one way: with powers of ten as soon as one of them needs one."""
    powers = any(_is_far(value) for value in values)
    return [tick_text(value, powers) for value in values]


def _is_far(value: float) -> bool:
    return value != 0 and not 1e-3 <= abs(value) < 1e4


class ValueFormatter(Formatter):
    """:func:`tick_texts` of values times ``factor``; on a linear axis, what is nearly 0 is 0 but for rounding."""

    def __init__(self, factor: float, linear: bool) -> None:
        self._factor, self._linear = factor, linear

    def __call__(self, value: float, pos: int | None = None) -> str:
        return self.format_ticks([value])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return tick_texts([self._value(value) for value in values])

    def _value(self, tick: float) -> float:
        assert self.axis is not None
        low, high = self.axis.get_view_interval()
        return 0.0 if self._linear and abs(tick) < 1e-9 * (high - low) else self._factor * tick


def set_value_ticks(ax: Axes, scale: ValueScale, factor: float = 1.0) -> None:
    """Few ticks on the value axis, which must have its range; their texts are of the values times ``factor``."""
    ax.yaxis.set_major_locator(_value_locator(ax, scale))
    ax.yaxis.set_major_formatter(ValueFormatter(factor, scale.name == "linear"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())


def scale_remark(scale: ValueScale, factor: float = 1.0) -> str:
    """What the title of an axis says of its scale: ``(linear within ±10, logarithmic beyond)`` of symlog, else nothing."""
    if scale.name != "symlog":
        return ""
    return f"(linear within ±{tick_text(factor * scale.threshold)}, logarithmic beyond)"


def _value_locator(ax: Axes, scale: ValueScale) -> Locator:
    if scale.name == "linear":
        return MaxNLocator(nbins=6, steps=_STEPS, min_n_ticks=3)
    if scale.name == "symlog":
        return SymlogLocator(scale.threshold)
    low, high = np.log10(ax.get_ylim())
    if np.floor(high) - np.ceil(low) >= 1:  # two powers of ten
        return LogLocator()
    return LogLocator(subs=(1, 2, 5)) if high - low > 0.7 else MaxNLocator(nbins=6, steps=_STEPS)


class SymlogLocator(Locator):
    """0 and powers of ten of both signs, at even distances, as many as have room.

    Matplotlib's SymmetricalLogLocator sets ticks at 0 and at the threshold even where their labels overlap, counts decades up
    to 1 where all values are far below, which leaves few ticks in view, and has no round ones within the threshold.
    """

    def __init__(self, threshold: float) -> None:
        self._first = round(np.log10(threshold))

    def __call__(self) -> Sequence[float]:
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        assert self.axis is not None
        last = int(np.floor(np.log10(max(-vmin, vmax))))
        most = np.clip(self.axis.get_tick_space() * 4 // 3, 2, _MOST)  # which takes labels to need twice their height
        for stride in itertools.count(1):
            first = self._first + stride - 1  # from 0 to the threshold, too, is a decade
            powers = 10.0 ** np.arange(first, last + 1, stride)
            ticks = np.concatenate([-powers[::-1], [0.0], powers])
            ticks = ticks[(vmin <= ticks) & (ticks <= vmax)]
            if ticks.size <= most:
                break
        return ticks.tolist() if ticks.size >= 2 else MaxNLocator(4, steps=_STEPS).tick_values(vmin, vmax)


def set_x_ticks(ax: Axes, scale: str, values: Sequence[float]) -> None:
    """Ticks of x with room for their labels; call it when the panel has its final size.

    Args:
      values: those of the grid, where a logarithmic axis has its ticks.
    """
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", pad=smallest() + 1.5)  # from the axis to the baseline: exponents don't push labels down
    if scale == "log":
        _set_grid_ticks(ax, values)
    else:
        _set_round_ticks(ax)


def _set_grid_ticks(ax: Axes, values: Sequence[float]) -> None:
    """A tick at every value, and labels where they have room, the roundest first: a locator would thin them out evenly."""
    texts = dict(zip(values, tick_texts(values), strict=True))
    boxes = dict(zip(values, _label(ax, texts), strict=True))
    shown: list[float] = []
    for value in sorted(values, key=_roundness):
        if not boxes[value].count_overlaps([boxes[other] for other in shown]):
            shown.append(value)
    _label(ax, {value: text if value in shown else "" for value, text in texts.items()})


def _set_round_ticks(ax: Axes) -> None:
    """Round numbers, as many as have room. AutoLocator expects labels at most three times as wide as high; some are wider."""
    low, high = ax.get_xlim()
    for most in range(7, 1, -1):
        ticks = [float(tick) for tick in MaxNLocator(most, steps=_STEPS).tick_values(low, high) if low <= tick <= high]
        boxes = _label(ax, dict(zip(ticks, tick_texts(ticks), strict=True)))
        if not any(one.overlaps(other) for one, other in itertools.pairwise(boxes)):
            break


def _label(ax: Axes, texts: Mapping[float, str]) -> list[BboxBase]:
    """Gives x ticks and labels, and says where the labels are, with a gap around each."""
    ax.set_xticks(list(texts), labels=list(texts.values()), verticalalignment="baseline")
    gap = _GAP / 72 * ax.figure.dpi
    return [label.get_window_extent().padded(gap) for label in ax.get_xticklabels()]


def _roundness(value: float) -> tuple[bool, bool, float]:
    mantissa = float(f"{value:e}".partition("e")[0])
    return (mantissa != 1, mantissa not in (2, 3, 5), value)
