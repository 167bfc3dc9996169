"""How a figure looks, its study's style and its own taken together. Asks Matplotlib only where it is not as by default."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nmepkg.study.checks import StudyError, join, shown, suggestion
from nmepkg.study.spec import Experiment, Setup
from nmepkg.study.style_keys import FONT, WIDTHS


def check_style(style: Mapping[str, Any], where: str, known: Collection[str]) -> None:
    """Refuses a style that cannot be drawn in.

    Args:
      where: its place in the study.
      known: what it may colour, :func:`line_names` of the study.

    Raises:
      StudyError: a font that this machine lacks, a colour that is none, or one of what the study has not.
    """
    if style.get("font", FONT) != FONT:
        _refuse_font(style["font"], join(where, "font"))
    for name, color in style.get("colors", {}).items():
        place = join(where, "colors", name)
        if name not in known:
            raise StudyError(place, f"no method, activation or setup of the study; {suggestion(name, known)}")
        _refuse_color(color, place)


def line_names(experiments: Iterable[Experiment], setups: Mapping[str, Setup]) -> list[str]:
    """What colours may be given to: setups by their names and titles, methods and activations by their names and labels."""
    names: dict[str, None] = {}
    for experiment in experiments:
        names |= dict.fromkeys(name for setup in experiment.setups for name in (setup, setups[setup].title) if name)
        entries = (*experiment.methods, *experiment.activations)
        names |= dict.fromkeys(entry[key] for entry in entries for key in ("name", "label") if entry.get(key))
    return list(names)


def complete_style(whole: Mapping[str, Any], own: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A figure's style: what it says itself, else what its study says; of colours those of what it shows.

    Args:
      names: of what it shows.
    """
    colors = {name: color for name, color in {**whole["colors"], **own.get("colors", {})}.items() if name in names}
    return {key: value for key, value in {**whole, **own, "colors": colors}.items() if key != "width"}


def width_in_inches(own: float | str | None, whole: float | str | None) -> float | None:
    """A figure's width, by itself or by its study; None: it depends on its panels."""
    width = whole if own is None else own
    return WIDTHS[width] if isinstance(width, str) else width


def _refuse_font(font: str, where: str) -> None:
    from matplotlib import font_manager

    known = sorted(set(font_manager.get_font_names()))
    if font not in known:
        near = difflib.get_close_matches(font, known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
        raise StudyError(where, f"this machine has no font {shown(font)}; {remedy}")


def _refuse_color(color: str, where: str) -> None:
    from matplotlib import colors

    if color.lower() == "none" or not colors.is_color_like(color):
        near = difflib.get_close_matches(color, colors.get_named_colors_mapping(), n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "write it as '#005A9C', or by a name that Matplotlib knows"
        raise StudyError(where, f"{shown(color)} is no colour; {remedy}")
