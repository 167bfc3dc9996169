"""The forest plot of a study's claims: an effect with its interval a row, coloured by verdict.

Every effect is drawn in units of the smallest one of interest, and towards the right where it is as claimed, so that rows of
any unit share an axis and a verdict can be seen: supported where the interval lies right of 0, contradicted where left of 1. A
claim of equality is supported where it lies between −1 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from nmepkg.analysis.claims.judge import CONTRADICTED, SUPPORTED, UNDECIDED, Judged
from nmepkg.analysis.figures.layout import add_legend, freeze, wrap
from nmepkg.analysis.labels import drawn, number
from nmepkg.analysis.style import BLUE, NEUTRAL, TWO_COLUMNS, VERMILION, smallest

_ROW = 0.19  # inches
_LINEAR = 2.0  # smallest effects of interest, to either side of 0, before the axis is logarithmic
# Colour, marker, and whether it is filled: told apart in grey too.
_LOOKS = {SUPPORTED: (BLUE, "o", True), CONTRADICTED: (VERMILION, "X", True), UNDECIDED: (NEUTRAL, "o", False)}
_DASHES = {"equal": (0, (4, 2)), "different": (0, (1, 1))}


def oriented(one: Judged) -> tuple[float, float, float]:
    """Effect and interval in units of the smallest effect of interest, positive where as claimed; NaN without an interval."""
    claim = one.comparison.claim
    unit = math.log(claim.smallest) if claim.scale == "log" else claim.smallest
    sign = -1 if claim.expect == "less" else 1
    low, high = (one.evidence.low, one.evidence.high) if one.evidence else (math.nan, math.nan)
    ends = sorted((sign * low / unit, sign * high / unit)) if not math.isnan(low) else [math.nan, math.nan]
    return sign * one.effect / unit, ends[0], ends[1]


def forest(judged: Sequence[Judged], found: Sequence[str], titles: Mapping[str, str]) -> Canvas:
    """Draws the claims; call it inside the style's ``rc_context``.

    Args:
      found: their verdicts.
      titles: those of the setups.
    """
    canvas = Canvas(figsize=(TWO_COLUMNS, _ROW * len(judged) + 0.6), layout="constrained")
    FigureCanvasAgg(canvas)
    ax = canvas.subplots()
    texts = []
    for row, (one, verdict) in enumerate(zip(judged, found, strict=True)):
        color, marker, filled = _LOOKS[verdict]
        effect, low, high = oriented(one)
        if math.isfinite(low):
            style = _DASHES.get(one.comparison.claim.expect, "-")
            ax.plot(
                [low, high], [row, row], color=color, linewidth=1.2, linestyle=style, solid_capstyle="butt", zorder=2
            )
        if math.isfinite(effect):
            face = color if filled else "white"
            ax.plot([effect], [row], marker, color=color, markerfacecolor=face, markersize=5, zorder=3)
        claim, setup = one.comparison.claim, one.comparison.setup
        texts.append(f"{claim.name.replace('_', ' ')} · {drawn(titles.get(setup) or setup)}")
    for value, style in ((0, "-"), (1, ":"), (-1, ":")):
        ax.axvline(value, color=NEUTRAL, linewidth=0.7, linestyle=style, zorder=1)
    ax.set_xscale("symlog", linthresh=_LINEAR, linscale=1.5)
    ax.set_yticks(range(len(judged)), texts, fontsize=smallest())
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(judged) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value).replace("-", "\N{MINUS SIGN}")))
    label = "Effect in smallest effects of interest, to the right as claimed (logarithmic beyond ±2)"
    wrap(ax.xaxis.label, 0.55 * TWO_COLUMNS, label)
    add_legend(canvas, _legend(judged, found), None)
    freeze(canvas)
    return canvas


def _legend(judged: Sequence[Judged], found: Sequence[str]) -> list[Line2D]:
    entries = []
    for verdict, (color, marker, filled) in _LOOKS.items():
        if count := list(found).count(verdict):
            entries.append(
                Line2D(
                    [], [], color=color, marker=marker, markerfacecolor=color if filled else "white", linewidth=1.2,
                    markersize=5, label=f"{verdict.capitalize()} ({count})",
                )
            )  # fmt: skip
    expected = {one.comparison.claim.expect for one in judged}
    names = {"equal": "Claim of equality: between the dotted lines", "different": "Claim of a difference, either way"}
    entries += [
        Line2D([], [], color=NEUTRAL, linestyle=_DASHES[kind], linewidth=1.2, label=text)
        for kind, text in names.items()
        if kind in expected
    ]
    return entries
