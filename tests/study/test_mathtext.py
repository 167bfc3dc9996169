"""Labels and titles that Matplotlib takes for formulas, and cannot set, are refused; what is left can be drawn."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from nmepkg.analysis.figures.layout import wrap
from nmepkg.analysis.labels import drawn
from nmepkg.analysis.style import RC
from nmepkg.errors import UserError
from tests.study.samples import study

GOOD = [
    "$\\rho_{max}$", "Costs $5", "$5 and $6 and $7", "$\\rho_{$ and $5", "a\\$b", "$a$ and \\$5", "\\$ $x \\$ y$ \\$", "$x$ $y",
    "$a b$ c", "β = 1 for $10", "$5 and $6_",
]  # fmt: skip
BAD = ["$\\rho_{$", "$\\nothing$", "fine, $x$, and $\\frac{1}$"]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_accepted_can_be_drawn_however_it_is_wrapped(tmp_path: Path, text: str) -> None:
    quoted = "'" + text.replace("\n", "\n\n    ") + "'"  # a line break of YAML
    study(
        tmp_path, ("x: rho,", f"x: rho, title: {quoted},"), ("[gelu, relu]", f"[{{name: gelu, label: {quoted}}}, relu]")
    )
    with matplotlib.rc_context(RC):
        canvas = Canvas()
        FigureCanvasAgg(canvas)
        for width in (0.01, 0.5, 14):
            wrap(canvas.suptitle(""), width, drawn(text))
            canvas.draw_without_rendering()


@pytest.mark.parametrize("text", BAD)
def test_a_formula_that_cannot_be_set_is_refused(tmp_path: Path, text: str) -> None:
    for edit, place in (
        (("x: rho,", f"x: rho, title: '{text}',"), "figures.curve.title"),
        (("[gelu, relu]", f"[{{name: gelu, label: '{text}'}}, relu]"), "experiments.main.activations[0].label"),
        (("    data:", f"    title: '{text}'\n    data:"), "setups.mlp.title"),
    ):
        with pytest.raises(UserError, match="is no formula that Matplotlib can set; mend it, or write") as caught:
            study(tmp_path, edit)
        assert place in str(caught.value)
