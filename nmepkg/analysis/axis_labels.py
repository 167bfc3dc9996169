"""The texts of an axis's values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nmepkg.analysis.labels import activation_label, method_label, number, place_label, second_derivative_label, symbol
from nmepkg.analysis.quantities import quantity_label


def axis_label(
    axis: str | None,
    value: Any,
    titles: Mapping[str, str],
    measured: Mapping[str, Any] | None = None,
    optimizers: Collection[str] = ("sgd",),
) -> str:
    """The text of an axis's value in a figure.

    Args:
      titles: those of the setups.
      measured: the spec of the measurement that the figure draws, if it does.
      optimizers: names of those of the runs that are drawn, each once.
    """
    if axis is None:
        return ""
    if axis == "setup":
        return titles.get(value) or value
    if axis == "method":
        return method_label(value, optimizers)
    if axis == "activation":
        return activation_label(value)
    if axis == "quantity":
        return quantity_label(value, measured)
    if axis == "at":
        return place_label(value)
    if axis == "second_derivative":
        return second_derivative_label(value)
    name = symbol(axis)
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, int | float):
        return f"{name} = {number(value)}"
    return str(value) if value is not None else f"{name}: whole batch" if axis == "m" else f"{name}: none"
