"""One look for every figure: sizes, colours and markers that keep their meaning from figure to figure.

Colours are those of Okabe & Ito (2008, "Color universal design"), which stay apart under the common colour-vision
deficiencies; every line also has a marker of its own, none of which looks like the cross of a run that diverged. Methods
and activations never share a colour with a different meaning in the same kind of figure: ReLU is always vermilion, GELU
always blue, SAM always green, PSAM always purple, and so are the penalties of the same part of the Hessian: of H purple, of
G blue, of N vermilion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ONE_COLUMN, TWO_COLUMNS = 3.3, 6.75  # inches: the column and text width of common conference styles
SMALLEST, NORMAL = 7.0, 8.0  # points

# Any: the type of its keys differs between versions of Matplotlib.
RC: Any = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same figure on every machine
    "mathtext.fontset": "dejavusans",
    "font.size": NORMAL,
    "axes.labelsize": NORMAL,
    "axes.titlesize": NORMAL,
    "figure.titlesize": NORMAL + 1,
    "legend.fontsize": SMALLEST,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # TrueType: text stays text, as publishers ask
    "svg.fonttype": "path",  # outlines: looks the same wherever the font is absent
    "svg.hashsalt": "nmepkg",  # ids of SVG elements that don't change from run to run
}

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, OLIVE = "#0072B2", "#D55E00", "#CC79A7", "#8C8000"
NEUTRAL = "#595959"


@dataclass(frozen=True)
class LineStyle:
    """How the curve of one method, activation or other variant is drawn."""

    color: str
    marker: str


_METHODS = {
    "sgd": LineStyle(BLACK, ">"),
    "sam": LineStyle(GREEN, "s"),
    "usam": LineStyle(OLIVE, "v"),
    "psam": LineStyle(PURPLE, "o"),
    "pusam": LineStyle(ORANGE, "^"),
    "gradient_penalty": LineStyle(BLACK, "D"),
    "psam_gn": LineStyle(BLUE, "D"),
    "psam_nme": LineStyle(VERMILION, "P"),
    "psam_fd": LineStyle(SKY, "v"),
    "weight_noise": LineStyle(GREEN, "^"),
    "hessian_trace": LineStyle(PURPLE, "s"),
    "nme_trace": LineStyle(VERMILION, "v"),
    "gn_trace": LineStyle(BLUE, "o"),
    "gn_trace_hutchinson": LineStyle(SKY, "D"),
    "gn_trace_exact": LineStyle(BLACK, "p"),
}

# By activation and by what replaces its second derivative.
_ACTIVATIONS = {
    ("relu", None): LineStyle(VERMILION, "o"),
    ("gelu", None): LineStyle(BLUE, "s"),
    ("gelu", "zero"): LineStyle(SKY, "D"),
    ("relu", "gaussian"): LineStyle(ORANGE, "^"),
    ("leaky_relu", None): LineStyle(PURPLE, "v"),
    ("beta_gelu", None): LineStyle(GREEN, "P"),
    ("silu", None): LineStyle(OLIVE, ">"),
    ("softplus", None): LineStyle(BLACK, "p"),
}

# By the part of the Hessian that a quantity is of.
_PARTS = {"H": LineStyle(BLACK, "o"), "G": LineStyle(BLUE, "s"), "N": LineStyle(VERMILION, "D")}

_PLACES = {"initial": LineStyle(ORANGE, "o"), "final": LineStyle(BLUE, "s")}

_REST = [
    LineStyle(color, marker)
    for color, marker in zip(
        (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, OLIVE, BLACK),
        ("o", "s", "^", "D", "v", "P", ">", "p"),
        strict=True,
    )
]


def _meaning(axis: str | None, value: Any) -> LineStyle | None:
    if axis == "method" and isinstance(value, Mapping):
        return _METHODS.get(value["name"])
    if axis == "activation" and isinstance(value, Mapping):
        second = value.get("second_derivative")
        return _ACTIVATIONS.get((value["name"], second["name"] if isinstance(second, Mapping) else second))
    if axis == "quantity":
        return _PARTS.get(str(value).rpartition("_")[2])
    if axis == "at":
        return _PLACES.get(str(value))
    return None


def line_styles(axis: str | None, values: Sequence[Any]) -> list[LineStyle]:
    """The styles of the lines of a figure, one a value of the axis that tells them apart.

    What has a fixed style gets it, the first time; the rest gets colours and markers that are still free, in order.
    """
    styles: list[LineStyle | None] = []
    for value in values:
        style = _meaning(axis, value)
        styles.append(None if style in styles else style)
    taken = [style for style in styles if style is not None]
    free = [s for s in _REST if s.color not in {t.color for t in taken}]
    free += [s for s in _REST if s not in free and s not in taken]
    chosen = []
    # Then markers change their colours: many lines are told apart still.
    several = range(len(_REST))
    pairs = ((_REST[i].color, _REST[(i + shift) % len(_REST)].marker) for shift in several[1:] for i in several)
    mixed = (style for color, marker in pairs if (style := LineStyle(color, marker)) not in taken)
    for style in styles:
        if style is None:
            style = free.pop(0) if free else next(mixed)
        chosen.append(style)
    return chosen
