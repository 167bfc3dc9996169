"""The columns by which every table says which method and activation a number is of: names of the registry, options, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nmepkg.analysis.labels import activation_label, method_label
from nmepkg.records import to_json
from nmepkg.registry import METHODS
from nmepkg.study.axes import options


def method_columns(method: Mapping[str, Any], strength: float, optimizer: str = "sgd") -> dict[str, Any]:
    """``method``, ``method_options``, ``method_label``, ``strength_name`` and ``strength``.

    All options are in one column, as JSON with sorted keys and with what is there by default: equal options are equal texts.
    With a column an option, which columns a table has would depend on its figure, most fields would be empty, and one name
    would mean two things: ``samples`` are a method's probes or its draws of labels, ``beta`` is an activation's or that of
    what replaces its φ''. Neither label nor options hold the strength, so a method is the same in every table; the label of
    ``sgd``, which is none, is that of the optimiser.

    Args:
      method: an entry of an experiment.
      strength: 0 for a method without one, whose ``strength_name`` is None.
      optimizer: by which the run was trained.
    """
    named = _columns("method", method, method_label(method, (optimizer,)))
    return named | {"strength_name": METHODS[method["name"]].strength, "strength": strength}


def activation_columns(activation: Mapping[str, Any]) -> dict[str, Any]:
    """``activation``, ``activation_options`` (:func:`method_columns` says why JSON) and ``activation_label``."""
    return _columns("activation", activation, activation_label(activation))


def _columns(kind: str, entry: Mapping[str, Any], label: str) -> dict[str, Any]:
    return {kind: entry["name"], f"{kind}_options": to_json(options(kind, entry)), f"{kind}_label": label}
