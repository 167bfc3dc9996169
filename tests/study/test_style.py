"""How figures look: refused where it cannot be drawn, no part of what a run is, and of other figures neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.figure_identity import figure_digest
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from tests.analysis.study import STUDY


def study(folder: Path, style: str = "{}", curve: str = "") -> tuple[Study, Expansion]:
    path = folder / "study.yaml"
    head, before, after = STUDY.partition("  curve: {")
    assert before
    path.write_text(f"style: {style}\n{head}{before}{curve}{after}", encoding="utf-8")
    found = load(path)
    return found, expand(found)


def test_looks_are_no_part_of_runs_and_redraw_what_shows_them_alone(tmp_path: Path) -> None:
    plain, runs = study(tmp_path)
    coloured, same = study(tmp_path, "{colors: {sgd: black}}")
    assert same.runs.keys() == runs.runs.keys()
    digests = [
        {name: figure_digest(found, expansion, found.figures[name]) for name in ("curve", "beta", "traces")}
        for found, expansion in ((plain, runs), (coloured, same))
    ]
    assert {name for name in digests[0] if digests[0][name] != digests[1][name]} == {"beta"}, "the only one with SGD"


def test_a_figure_has_its_own_and_else_its_studys(tmp_path: Path) -> None:
    found, _ = study(
        tmp_path,
        "{width: 3.5, font: STIXGeneral, font_size: 9, colors: {sam: red, sgd: blue}}",
        "width: page, style: {font_size: 7, colors: {psam: '#123456'}}, ",
    )
    curve, beta = found.figures["curve"], found.figures["beta"]
    assert (curve.width, beta.width) == (6.75, 3.5)
    assert curve.style == {
        "font": "STIXGeneral", "font_size": 7.0, "math": "dejavusans", "svg": "outlines",
        "colors": {"sam": "red", "psam": "#123456"},
    }  # fmt: skip
    assert (beta.style["font_size"], beta.style["colors"]) == (9.0, {"sgd": "blue"})


@pytest.mark.parametrize(("style", "curve", "message"), [
    ("{font: STIXGenerall}", "", "style.font: this machine has no font 'STIXGenerall'; did you mean 'STIXGeneral'?"),
    ("{colors: {sam: blu}}", "", "style.colors.sam: 'blu' is no colour; did you mean 'blue'?"),
    ("{colors: {psma: blue}}", "", "style.colors.psma: no method, activation or setup of the study; did you mean 'psam'?"),
    ("{}", "style: {colors: {sam: '12'}}, ", "figures.curve.style.colors.sam: '12' is no colour; write it as '#005A9C'"),
    ("{}", "width: colum, ", "figures.curve.width: 'colum' is none of column, page, a number from 2; write one"),
    ("{}", "panel: {lines: sam}, ", "figures.curve.panel.lines: is no axis of its rows or columns; "),
    ("{}", "panel: {activation: rule}, ", "figures.curve.panel.activation: no panel is 'rule'; choose from gelu, "),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_by_its_key(tmp_path: Path, style: str, curve: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        study(tmp_path, style, curve)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_panel_needs_its_runs_alone(tmp_path: Path) -> None:
    whole, runs = study(tmp_path)
    alone, same = study(tmp_path, curve="panel: {activation: rectifier}, ")
    assert same.runs.keys() == runs.runs.keys()
    cells = same.cells_of(alone.figures["curve"])
    assert {cell.activation["name"] for cell in cells} == {"relu"}
    assert 3 * len(cells) == len(runs.cells_of(whole.figures["curve"]))
    written = "panel: {activation: {name: gelu, second_derivative: zero}}, "
    ablated, same = study(tmp_path, curve=written)
    assert [cell.activation.get("second_derivative") for cell in same.cells_of(ablated.figures["curve"])] == [
        {"name": "zero"}
    ] * len(cells)
