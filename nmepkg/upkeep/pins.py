"""Pins: the digests that a study says its published figures have, of the numbers that they draw."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nmepkg.records import to_json
from nmepkg.runs.expansion import Expansion
from nmepkg.study.spec import Study
from nmepkg.upkeep.survey import drawn, figures_folder

# What a point is, and its number. Neither ids, which move with code, nor labels, nor what follows from the rest.
_COLUMNS = frozenset(
    {
        *("setup", "method", "method_options", "strength_name", "strength", "activation", "activation_options"),
        *("experiment", "directions", "seed", "at", "radius", "x_name", "x", "y_name", "y_of"),
        *("n_seeds", "n_diverged", "y_mean", "y_ci_low", "y_ci_high"),
        *("w1", "w2", "a", "b", "loss", "accuracy", "norm_N", "norm_N_layer", "norm_G"),
    }
)
_DIGITS = 9  # significant: more than float32 has, and fewer than sums in another order change


@dataclass(frozen=True)
class Pin:
    """A figure's numbers, as pinned and as drawn.

    Attributes:
      pinned: None where the study pins nothing of this figure.
      drawn: None where the figure, as the study is now, is not drawn.
    """

    figure: str
    pinned: str | None
    drawn: str | None

    @property
    def moved(self) -> bool:
        """Whether the numbers that are drawn are others than those that are pinned."""
        return None not in (self.pinned, self.drawn) and self.pinned != self.drawn


def pins(study: Study, expansion: Expansion) -> list[Pin]:
    """Every figure of a study, with what is pinned of it."""
    return [_pin(study, expansion, name) for name in study.figures]


def _pin(study: Study, expansion: Expansion, figure: str) -> Pin:
    table = figures_folder(study) / f"{figure}.csv"
    found = numbers(table) if drawn(study, expansion, figure) else None
    return Pin(figure, _pinned(study).get(figure), found)


def _pinned(study: Study) -> Mapping[str, str]:
    """What is pinned. A part of a study, or one in small, is held to nothing."""
    return {} if study.smoke or study.select is not None else study.pins


def moved(study: Study, expansion: Expansion) -> list[str]:
    """A line for each figure whose numbers are not those that are pinned."""
    return [
        f"{study.path}: pins.{pin.figure}: the numbers of the figure moved: {pin.drawn} is drawn, {pin.pinned} is pinned"
        for name in _pinned(study)
        if (pin := _pin(study, expansion, name)).moved
    ]


def numbers(table: Path) -> str:
    """The digest of the numbers that a figure draws, of its table: ``sha256:`` and twelve hex digits.

    Rows count in no order, and numbers to nine digits.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = [
            {key: _rounded(value) for key, value in row.items() if key in _COLUMNS and value}
            for row in csv.DictReader(file)
        ]
    text = "\n".join(sorted(to_json(row) for row in rows))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _rounded(value: str) -> str:
    try:
        return f"{float(value) + 0.0:.{_DIGITS}g}"  # and of -0, 0
    except ValueError:
        return value
