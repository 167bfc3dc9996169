"""Where a figure places what it draws: the values of its axes, the same when it is planned and when it is drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nmepkg.errors import UserError
from nmepkg.registry import ACTIVATIONS, METHODS, STRENGTHS
from nmepkg.study.spec import Cell, Figure

REPLACED = "second_derivative."  # and an option of what replaces φ''


@dataclass(frozen=True)
class Observation:
    """One number of one run.

    Attributes:
      quantity: its name, a metric or a quantity of a measurement.
      value: None where the run has none: it diverged.
      status: of the run (``completed``, ``diverged``), or of the point of its measurement (``measured``, ``not_finite``,
        ``not_reached``).
      at, step: of a measurement: where it was measured as the study says, and after how many steps.
      radius: the one of the measurement's ``radii`` that it is of.
      se: its standard error within the run, where it is an estimate.
    """

    quantity: str
    value: float | None
    status: str
    at: str | int | None = None
    step: int | None = None
    radius: float | None = None
    se: float | None = None


_SEEN = ("quantity", "at", "step", "radius")  # axes of a number, not of the cell that it is of
_NOTHING = Observation("", None, "")


def roles(figure: Figure) -> list[str]:
    """The axes that a figure shows."""
    return [axis for axis in (figure.x, figure.rows, figure.columns, figure.lines) if axis is not None]


def reserved(figure: Figure) -> tuple[str, ...]:
    """The axes of a figure that are no options. ``step`` is the training step where it draws a measurement."""
    measured = () if figure.measurement is None else ("at", "step", "radius")
    return ("setup", "method", "activation", "experiment", "quantity", *STRENGTHS, *measured)


def follows_training(figure: Figure) -> bool:
    """Whether x is the step of training."""
    return figure.x == "step" and figure.measurement is not None


def options(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a method or activation as written, those left out at their defaults.

    Args:
      kind: ``method`` or ``activation``.
    """
    known = (METHODS if kind == "method" else ACTIVATIONS)[entry["name"]].options
    defaults = {name: schema["default"] for name, schema in known.items() if "default" in schema}
    if kind == "activation":
        defaults["second_derivative"] = None
    return defaults | {key: value for key, value in entry.items() if key not in ("name", "label")}


def axes_of(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """:func:`options`, by which figures tell entries apart, and those of what replaces φ'', as ``second_derivative.beta``."""
    found = options(kind, entry)
    replacement = found.get("second_derivative")
    if not isinstance(replacement, Mapping):
        return found
    return found | {f"{REPLACED}{key}": value for key, value in replacement.items() if key != "name"}


def without(entry: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    """An entry without the options that have an axis of their own."""
    kept = {key: value for key, value in entry.items() if key not in own}
    replacement = kept.get("second_derivative")
    if isinstance(replacement, Mapping):
        kept["second_derivative"] = {k: v for k, v in replacement.items() if f"{REPLACED}{k}" not in own}
    return kept


def axis_value(figure: Figure, cell: Cell, seen: Observation, axis: str | None) -> Any:
    """Where one number of a cell lies on an axis of the figure: the name of its setup, a method, a quantity, a step.

    A method or activation is told apart by its label and by the options that have not their default value; an option that
    has an axis of its own (β) tells none apart. A method has its strength with it only where no axis shows one.

    Raises:
      UserError: the axis is a strength, and the cell's method has another one.
    """
    if axis is None:
        return None
    if axis in STRENGTHS:
        kind = METHODS[cell.method["name"]].strength
        if kind not in (axis, None):
            raise UserError(
                f"figures.{figure.name}: it shows {axis}, but {cell.method['name']!r} has {kind}; draw them in two figures"
            )
        return cell.strength
    if axis in ("method", "activation"):
        entry, own = getattr(cell, axis), set(roles(figure)) - set(reserved(figure))
        default = options(axis, {"name": entry["name"]})
        value = {k: v for k, v in without(entry, own).items() if not (k in default and default[k] == v)}
        if (
            axis == "method"
            and METHODS[entry["name"]].strength is not None
            and STRENGTHS.keys().isdisjoint(roles(figure))
        ):
            value["strength"] = cell.strength
        return value
    if axis in ("experiment", "setup"):
        return getattr(cell, axis)
    if axis in reserved(figure):
        return getattr(seen, axis)
    return (axes_of("method", cell.method) | axes_of("activation", cell.activation) | cell.axes)[axis]


def in_panel(figure: Figure, cell: Cell, seen: Observation | None = None) -> bool:
    """Whether a number lies in the panel that a figure draws alone, if it draws one.

    Args:
      seen: without it, whether any number of the cell may.
    """
    return all(
        same_value(axis_value(figure, cell, seen or _NOTHING, axis), wanted)
        for axis, wanted in figure.panel.items()
        if seen is not None or axis not in _SEEN
    )


def same_value(value: Any, wanted: Any) -> bool:
    """Whether a value of an axis is the one that is written: ``psam`` for ``{"name": "psam"}``, or its label.

    >>> [same_value({"name": "psam", "m": 8}, wanted) for wanted in ("psam", {"name": "psam", "m": 8})]
    [False, True]
    """
    if not isinstance(value, Mapping):
        return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)
    bare = {key: part for key, part in value.items() if key != "label"}
    if not isinstance(wanted, Mapping):
        return wanted == value.get("label") or bare == {"name": wanted}
    return bare.keys() == wanted.keys() and all(same_value(bare[key], wanted[key]) for key in bare)


def x_value(figure: Figure, cell: Cell, seen: Observation) -> float:
    """:func:`axis_value` of x. On a logarithmic axis a strength of 0 has a place beside it, nothing else has.

    Raises:
      UserError: it isn't a number, or has no place on the axis.
    """
    value = axis_value(figure, cell, seen, figure.x)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"figures.{figure.name}.x: {figure.x} is {value!r} in a run; it must be a number")
    if figure.x_scale == "log" and (value < 0 or (value == 0 and figure.x not in STRENGTHS)):
        raise UserError(
            f"figures.{figure.name}.x: {figure.x} = {value:g} has no place on a logarithmic axis; give it x_scale: linear"
        )
    return float(value)


def clash(figure: Figure, there: tuple[Cell, Observation], here: tuple[Cell, Observation]) -> str | None:
    """What tells two numbers apart that fall on one point and seed, or None if they are the same.

    A run may come twice: by two experiments, or at its last step and when final.
    """
    (one, first), (other, second) = there, here
    if one.run_id != other.run_id:
        return f"runs {one.run_id} and {other.run_id}"
    measured = [cell.measurements.get(figure.measurement or "") for cell in (one, other)]
    if measured[0] != measured[1]:
        return f"measurements {measured[0]} and {measured[1]}"
    if first.quantity != second.quantity:
        return f"{first.quantity} and {second.quantity}"
    if figure.measurement is not None and not follows_training(figure) and first.at != second.at:
        return f"measurements at {first.at} and {second.at}"
    if first.radius != second.radius:
        return f"numbers of the radii {first.radius} and {second.radius}"
    return None
