"""The keys of how figures look: JSON Schema fragments, as those of :mod:`nmepkg.study.keys`."""

from __future__ import annotations

from typing import Any

from nmepkg.study.keys import key, mapping

WIDTHS = {"column": 3.3, "page": 6.75}  # inches: the column and text width of common conference styles
FONT, FONT_SIZE = "DejaVu Sans", 8.0  # the font comes with Matplotlib: the same figure on every machine
MATH = ("dejavusans", "dejavuserif", "cm", "stix", "stixsans")

WIDTH = key(
    "in inches, or `column` (3.3) or `page` (6.75), those of conferences' styles; fonts have their size at this width. null: "
    "the study's `style.width`, or a column for one column of panels and a page for several",
    {
        "anyOf": [{"enum": list(WIDTHS)}, {"type": ["number", "null"], "minimum": 2, "maximum": 40}],
        "default": None,
    },
    example="column",
)


def _style(**defaults: Any) -> dict[str, Any]:
    parts = {
        "font": key(
            "a font of this machine; what it lacks, as φ or ″, is set in DejaVu Sans, which comes with Matplotlib",
            {"type": "string", "maxLength": 100},
            example="STIXGeneral",
        ),
        "font_size": key(
            "of labels, in points; ticks and legends are one point smaller",
            {"type": "number", "minimum": 6, "maximum": 14},
            example=9,
        ),
        "math": key("in which of Matplotlib's fonts formulas are set", {"enum": list(MATH)}, example="stix"),
        "svg": key(
            "texts of the SVGs: `outlines`, the same wherever the font is absent, or `text`, which an editor can change. Those "
            "of the PDFs are text",
            {"enum": ["outlines", "text"]},
            example="text",
        ),
        "colors": key(
            "method, activation or setup, by its name or label → colour of its lines, `'#RRGGBB'` in quotes or a name of "
            "Matplotlib's",
            {"type": "object", "additionalProperties": {"type": "string"}, "title": "name → colour"},
            example={"psam": "purple", "gelu": "tab:blue"},
        ),
    }
    return {name: {**part, **({"default": defaults[name]} if name in defaults else {})} for name, part in parts.items()}


# Of a study, and of a figure: what that leaves out is the study's.
STYLE = {
    **mapping({"width": WIDTH, **_style(font=FONT, font_size=FONT_SIZE, math=MATH[0], svg="outlines", colors={})}),
    "default": {},
}
OWN_STYLE = {
    **mapping(_style()),
    "description": "what it has of its own of the study's `style`, but the width",
    "default": {},
    "title": "mapping",
    "examples": [{"font_size": 9}],
}
