"""Figures whose numbers are held to what was published."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.__main__ import main
from nmepkg.analysis.render import render
from nmepkg.errors import UserError
from nmepkg.runs.figure_identity import figure_identity
from nmepkg.upkeep.pins import moved, numbers
from nmepkg.upkeep.status import status
from nmepkg.upkeep.survey import figures_folder
from tests.analysis.study import draw_nothing
from tests.sharing.filled import by_seed, filled, finish
from tests.upkeep.made import Made


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    draw_nothing(monkeypatch)
    made = filled(tmp_path / "there")
    monkeypatch.chdir(made.folder)
    return made


def draw(made: Made) -> Path:
    study, expansion = made.study, made.expansion
    figure = study.figures["curve"]
    render(study, expansion, figure, figures_folder(study), figure_identity(study, expansion, figure))
    return figures_folder(study) / "curve.csv"


def test_a_figure_is_held_to_its_numbers(there: Made, capsys: pytest.CaptureFixture[str]) -> None:
    table = draw(there)
    digest = numbers(table)
    assert main(["pins", "--study", "config/study.yaml"]) == 0
    printed = capsys.readouterr().out
    assert printed == f"pins:\n  curve: {digest}\n  # step: not drawn\n"
    there.path.write_text(there.path.read_text() + printed)
    assert moved(there.study, there.expansion) == []
    there.edit("x: rho, lines: method}\n  step", 'x: rho, lines: method, title: "Another", width: 5}\n  step')
    assert moved(there.study, there.expansion) == [], "it is not drawn, as it is now"
    assert numbers(draw(there)) == digest, "the same numbers with another title"
    for run in there.runs:
        finish(there, run, (by_seed(run) or 0) + 1e-4, start="2026-01-01T00:00:00Z", data_sha256="0" * 64)
    draw(there)
    (line,) = moved(there.study, there.expansion)
    assert "study.yaml: pins.curve: the numbers of the figure moved: sha256:" in line
    assert line.endswith(f"{digest} is pinned")
    assert status(there.study, there.expansion, there.store)["moved"] == [line]
    assert main(["pins", "--study", "config/study.yaml"]) == 1
    assert f"# {digest} is pinned" in capsys.readouterr().out
    assert main(["pins", "--study", "config/study.yaml", "--smoke"]) == 0, "other numbers, and not held to these"


def test_ids_rows_and_last_digits_do_not_count(there: Made) -> None:
    table = draw(there)
    digest, (head, *rows) = numbers(table), table.read_text().splitlines()
    same = [head, *reversed([row.replace("-s0-", "-x-").replace("0.525", "0.52500000000001") for row in rows])]
    table.write_text("\n".join(same))
    assert numbers(table) == digest
    table.write_text("\n".join([head, *(row.replace("0.525", "0.52501") for row in rows)]))
    assert numbers(table) != digest


@pytest.mark.parametrize(
    ("pin", "problem"),
    [
        ('curv: "sha256:0123456789ab"', "pins.curv: unknown figure; did you mean"),
        ("curve: 0123456789ab", "pins.curve: "),
    ],
)
def test_a_pin_of_nothing_is_refused(there: Made, pin: str, problem: str) -> None:
    there.path.write_text(f"{there.path.read_text()}pins: {{{pin}}}\n")
    with pytest.raises(UserError, match=problem):
        there.study  # noqa: B018
