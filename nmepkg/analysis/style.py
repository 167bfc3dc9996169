"""One look for every figure: sizes, colours and markers that keep their meaning from figure to figure.

Colours are those of Okabe & Ito (2008, "Color universal design"), which stay apart under the common colour-vision
deficiencies, darkened until each has a contrast of 3 : 1 against white (WCAG 1.4.11). Every line also has a marker of its own,
none of which looks like the cross of a run that diverged, and dashes that no line as dark as it has, so that a grey print tells
them apart. Methods and activations never share a colour with a different meaning in the same kind of figure: ReLU is always
vermilion, GELU always blue, SAM always green, PSAM always purple, and so are the penalties of the same part of the Hessian,
however they are estimated: of H purple, of G blue, of N vermilion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
from matplotlib.colors import to_hex, to_rgb

from nmepkg.study.style_keys import FONT, FONT_SIZE, WIDTHS

ONE_COLUMN, TWO_COLUMNS = WIDTHS["column"], WIDTHS["page"]
SMALLEST, NORMAL = FONT_SIZE - 1, FONT_SIZE  # points
_POINTS = (SMALLEST, NORMAL, NORMAL + 1)
DPI = 300  # of pictures


def figure_width(asked: float | None, columns: int) -> float:
    """Of a figure in inches, as asked, or by its columns of panels."""
    return asked or (ONE_COLUMN if columns == 1 else TWO_COLUMNS)


# Any: the type of its keys differs between versions of Matplotlib.
RC: Any = {
    "font.family": FONT,
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


def rc(style: Mapping[str, Any]) -> Any:
    """:data:`RC` as a study's or figure's style changes it; what is not in its font is set in DejaVu Sans."""
    size = style.get("font_size", NORMAL)
    sizes = {name: size + RC[name] - NORMAL for name in RC if name.endswith("size") and RC[name] in _POINTS}
    font = style.get("font", FONT)
    return {
        **RC,
        **sizes,
        "font.family": list(dict.fromkeys((font, FONT))),
        "mathtext.fontset": style.get("math", RC["mathtext.fontset"]),
        "svg.fonttype": "none" if style.get("svg") == "text" else "path",
    }


def smallest() -> float:
    """The size of small texts in points, in the style that is being drawn in."""
    return float(matplotlib.rcParams["legend.fontsize"])


BLACK, ORANGE, SKY, GREEN = "#000000", "#B97D00", "#2F97D0", "#00966C"
BLUE, VERMILION, PURPLE, OLIVE = "#005A9C", "#C8501E", "#8F3B76", "#6B6200"
NEUTRAL = "#595959"

Dashes = tuple[float, ...]  # lengths of dashes and gaps in turn, in widths of the line; empty: solid
_DASHES: dict[str, Dashes] = {
    BLACK: (),
    VERMILION: (),
    GREEN: (),
    PURPLE: (4.5, 1.3),
    BLUE: (2.2, 1.1),
    ORANGE: (5, 1.2, 1.2, 1.2),
    SKY: (3.2, 1.1, 1, 1, 1, 1.1),
    OLIVE: (1.2, 1.0),
}
_MORE: tuple[Dashes, ...] = ((8, 2), (7, 1.2, 2, 1.2), (3, 1, 3, 3))  # for lines whose colour's are taken
APART = 10.0  # CIE L* of two lines that need no dashes to be told apart in grey


@dataclass(frozen=True)
class LineStyle:
    """How the curve of one method, activation or other variant is drawn."""

    color: str
    marker: str
    dashes: Dashes = ()

    @property
    def line(self) -> Any:
        """As Matplotlib's ``linestyle``."""
        return (0, self.dashes) if self.dashes else "solid"


_METHODS = {
    "sgd": LineStyle(BLACK, "D"),
    "sam": LineStyle(GREEN, "s"),
    "usam": LineStyle(OLIVE, "v"),
    "asam": LineStyle(SKY, "s"),
    "functional_sam": LineStyle(ORANGE, "P"),
    "psam": LineStyle(PURPLE, "o"),
    "pusam": LineStyle(ORANGE, "^"),
    "gradient_penalty": LineStyle(BLACK, "p"),
    "psam_gn": LineStyle(BLUE, "D"),
    "psam_nme": LineStyle(VERMILION, "P"),
    "psam_fd": LineStyle(SKY, "v"),
    "weight_noise": LineStyle(GREEN, "^"),
    "hessian_trace": LineStyle(PURPLE, "s"),
    "nme_trace": LineStyle(VERMILION, "v"),
    "gn_trace": LineStyle(BLUE, "o"),
    "gn_trace_hutchinson": LineStyle(BLUE, "D"),
    "gn_trace_exact": LineStyle(BLUE, "p"),
}

# By activation and by what replaces its second derivative.
_ACTIVATIONS = {
    ("relu", None): LineStyle(VERMILION, "o"),
    ("gelu", None): LineStyle(BLUE, "s"),
    ("gelu", "zero"): LineStyle(SKY, "D"),
    ("relu", "gaussian"): LineStyle(ORANGE, "^"),
    ("leaky_relu", None): LineStyle(PURPLE, "v"),
    ("beta_gelu", None): LineStyle(GREEN, "P"),
    ("silu", None): LineStyle(OLIVE, "h"),
    ("softplus", None): LineStyle(BLACK, "p"),
}

# By the part of the Hessian that a quantity is of.
_PARTS = {"H": LineStyle(BLACK, "o"), "G": LineStyle(BLUE, "s"), "N": LineStyle(VERMILION, "D")}

_PLACES = {"initial": LineStyle(ORANGE, "o"), "final": LineStyle(BLUE, "s")}

_REST = [
    LineStyle(color, marker)
    for color, marker in zip(
        (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, OLIVE, BLACK),
        ("o", "s", "^", "D", "v", "P", "h", "p"),
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


def line_styles(axis: str | None, values: Sequence[Any], colors: Sequence[str | None] | None = None) -> list[LineStyle]:
    """The styles of the lines of a figure, one a value of the axis that tells them apart.

    What has a fixed colour and marker gets them, the first time; the rest gets colours and markers that are still free, in
    order. Dashes are the colour's, unless an earlier line has them whose lightness is within :data:`APART`.

    Args:
      colors: of each line, the colour that the study gives to it, or None.
    """
    styles: list[LineStyle | None] = []
    for value in values:
        style = _meaning(axis, value)
        styles.append(None if style in styles else style)
    taken = [style for style in styles if style is not None]
    free = [s for s in _REST if s.color not in {t.color for t in taken}]
    free += [s for s in _REST if s not in free and s not in taken]
    chosen: list[LineStyle] = []
    # Then markers change their colours: many lines are told apart still.
    several = range(len(_REST))
    pairs = ((_REST[i].color, _REST[(i + shift) % len(_REST)].marker) for shift in several[1:] for i in several)
    mixed = (style for color, marker in pairs if (style := LineStyle(color, marker)) not in taken)
    for style, color in zip(styles, colors or [None] * len(styles), strict=True):
        if style is None:
            style = free.pop(0) if free else next(mixed)
        style = style if color is None else replace(style, color=to_hex(color))
        chosen.append(replace(style, dashes=_dashes(style.color, chosen)))
    return chosen


def _dashes(color: str, earlier: Sequence[LineStyle]) -> Dashes:
    alike = {style.dashes for style in earlier if abs(lightness(style.color) - lightness(color)) < APART}
    own = _DASHES.get(color, ())
    return next((dashes for dashes in (own, *_DASHES.values(), *_MORE) if dashes not in alike), own)


def lightness(color: str) -> float:
    """CIE L* of a colour, 0 (black) to 100 (white): 116 ∛Y − 16, or 903.3 Y below Y = 0.008856, with Y its luminance."""
    luminance = sum(
        weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
        for weight, c in zip((0.2126, 0.7152, 0.0722), to_rgb(color), strict=True)
    )
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance
