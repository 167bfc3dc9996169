"""``draw``: a figure of a study, or one panel of it, as an author wants it for once, into a folder of their own."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import yaml

from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.runs.figure_identity import figure_identity
from nmepkg.study import overrides
from nmepkg.study.checks import suggestion
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.study.strict_yaml import read
from nmepkg.study.style_keys import OWN_STYLE

_KEYS = ("width", *OWN_STYLE["properties"])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that :func:`draw` reads."""
    parser.add_argument("figure", metavar="FIGURE")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where it goes; it is made if need be"
    )
    parser.add_argument(
        "--panel",
        action="append",
        default=[],
        metavar="AXIS=VALUE",
        help="this panel alone, as setup=mlp; may be repeated",
    )
    for key in _KEYS:
        parser.add_argument(f"--{key.replace('_', '-')}", metavar="VALUE", help="as the study's key `style` has it")


def draw(options: argparse.Namespace, study: Study) -> dict[str, Any]:
    """Draws it from the results that are there, and returns the record of what was drawn.

    Raises:
      UserError: there is no such figure, panel, font or colour, or results are missing.
    """
    if options.figure not in study.figures:
        raise UserError(f"{study.path}: no figure {options.figure!r}; {suggestion(options.figure, study.figures)}")
    written = read(study.path)["figures"]
    changed = dict(written[options.figure])
    looks = {key: _value(getattr(options, key)) for key in _KEYS if getattr(options, key) is not None}
    if "width" in looks:
        changed["width"] = looks.pop("width")
    changed["style"] = {**changed.get("style", {}), **looks}
    for text in options.panel:
        axis, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"draw: --panel {text}: write AXIS=VALUE, as setup=mlp")
        changed["panel"] = {**changed.get("panel", {}), axis: _value(value)}
    chosen = {**overrides.chosen(options), "figures": {**written, options.figure: changed}}
    study = load(study.path, chosen)
    expansion, figure = expand(study), study.figures[options.figure]
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown; what a notebook's shell names may not be installed here
    from nmepkg.analysis.render import render  # with pandas and Matplotlib, which take a second

    identity = figure_identity(study, expansion, figure)
    note = render(study, expansion, figure, options.out, identity)
    return {"figure": figure.name, "digest": identity["digest"], "note": note}


def _value(text: str) -> Any:
    """A value as a study would have it: ``0.1`` is a number, ``{name: gelu}`` a mapping."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
