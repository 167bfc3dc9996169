"""Where a figure places what it draws: the values of its axes, and their texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmepkg.analysis.labels import STRENGTHS, SYMBOLS, activation_label, method_label, number, place_label
from nmepkg.analysis.quantities import quantity_label
from nmepkg.errors import UserError
from nmepkg.registry import METHODS
from nmepkg.study.spec import Cell, Figure


@dataclass(frozen=True)
class Observation:
    """One number of one run.

    Attributes:
      quantity: its name, a metric or a quantity of a measurement.
      value: None where the run has none: it diverged.
      status: of the run (``completed``, ``diverged``), or of the point of its measurement (``measured``, ``not_finite``,
        ``not_reached``).
      at, step: of a measurement: where it was measured as the study says, and after how many steps.
      se: its standard error within the run, where it is an estimate.
    """

    quantity: str
    value: float | None
    status: str
    at: str | int | None = None
    step: int | None = None
    se: float | None = None


def roles(figure: Figure) -> list[str]:
    """The axes that a figure shows."""
    return [axis for axis in (figure.x, figure.rows, figure.columns, figure.lines) if axis is not None]


def axis_value(figure: Figure, cell: Cell, seen: Observation, axis: str | None) -> Any:
    """Where one number of a cell lies on an axis of the figure: the name of its setup, a method, a quantity, a step …

    An option of a method or activation that has an axis of its own (β) tells no two methods or activations apart. A method
    has its strength with it only where no axis shows one.

    Raises:
      UserError: the axis is a strength, and the cell's method has another one.
    """
    if axis is None:
        return None
    if axis in STRENGTHS:
        kind = METHODS[cell.method["name"]].strength
        if kind not in (axis, None):
            raise UserError(
                f"figure {figure.name!r}: it shows {axis}, but {cell.method['name']!r} has {kind}; draw them in two figures"
            )
        return cell.strength
    if axis in ("method", "activation"):
        shown = roles(figure)
        entry = getattr(cell, axis)
        value = {key: value for key, value in entry.items() if key not in (*shown, *STRENGTHS, "strength")}
        if axis == "method" and METHODS[entry["name"]].strength is not None and STRENGTHS.isdisjoint(shown):
            value["strength"] = cell.strength
        return value
    if axis in ("experiment", "setup"):
        return getattr(cell, axis)
    if axis in ("quantity", "at", "step"):
        return getattr(seen, axis)
    return cell.axes[axis]


def x_value(figure: Figure, cell: Cell, seen: Observation) -> float:
    """:func:`axis_value` of x. On a logarithmic axis a strength of 0 has a place beside it, nothing else has.

    Raises:
      UserError: it isn't a number, or has no place on the axis.
    """
    value = axis_value(figure, cell, seen, figure.x)
    if value is None and figure.x in STRENGTHS:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"figure {figure.name!r}: x is {figure.x}, which is {value!r} in a run; it must be a number")
    if figure.x_scale == "log" and (value < 0 or (value == 0 and figure.x not in STRENGTHS)):
        raise UserError(
            f"figure {figure.name!r}: {figure.x} = {value} can't be drawn on a logarithmic axis; give it x_scale: linear"
        )
    return float(value)


def axis_label(
    axis: str | None, value: Any, titles: Mapping[str, str], measured: Mapping[str, Any] | None = None
) -> str:
    """The text of an axis's value in a figure.

    Args:
      titles: those of the setups.
      measured: the spec of the measurement that the figure draws, if it does.
    """
    if axis is None:
        return ""
    if axis == "setup":
        return titles.get(value) or value
    if axis == "method":
        return method_label(value)
    if axis == "activation":
        return activation_label(value)
    if axis == "quantity":
        return quantity_label(value, measured)
    if axis == "at":
        return place_label(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{SYMBOLS.get(axis, axis)} = {number(value)}"
    return str(value)
