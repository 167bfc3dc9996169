"""Value axes: linear, logarithmic and symmetric logarithmic, with the smallest range of a panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.scale import SymmetricalLogTransform

_MIN_DECADES = 0.3  # smallest range of a logarithmic axis
_MIN_SHARE = 0.02  # and of a linear one, as a share of its largest value


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


def difference_scale(values: np.ndarray, least: float = 0.0) -> ValueScale:
    """The scale of an axis of differences: linear, but where the largest is more than ten times as large as usual.

    Then it is symlog beyond the power of ten nearest to the median size: small differences are seen beside a collapse.

    Args:
      values: the differences.
      least: a power of ten below which nothing is of interest, however many differences are there.
    """
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    usual = max(float(np.median(sizes)), least) if sizes.size else 0.0
    if not sizes.size or sizes.max() <= 10 * usual:
        return ValueScale("linear")
    return ValueScale("symlog", float(10.0 ** np.round(np.log10(usual))))
