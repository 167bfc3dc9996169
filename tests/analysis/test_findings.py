"""The text on results: its tables are those of the results beside it, and nobody typed a number into it."""

import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from nmepkg.analysis.findings import CLAIMS, POINTS, collect, copy_pictures, renewed
from nmepkg.errors import UserError
from nmepkg.study.load import load

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    "config.yaml": ROOT / "docs" / "findings.md",
    "controls.yaml": ROOT / "docs" / "controls.md",
    "optimizers.yaml": ROOT / "docs" / "optimizers.md",
    "search/judged.yaml": ROOT / "docs" / "search.md",
}
STUDY = "setups:\n  mlp: {title: MLP}\n  bare: {}\nfigures: {figure_2: {}, figure_7: {}, figure_10: {}}\n"
CLAIM = dict.fromkeys(CLAIMS, "") | {
    "claim": "one",
    "setup": "mlp",
    "figure": "figure_2",
    "says": "A | B differ.",
    "unit": "points",
    "effect": -1.234,
    "ci_low": -2.5,
    "ci_high": 0.031,
    "n_seeds": 5,
    "verdict": "undecided",
    "could_show": 2.345,
    "needed_at_effect": 9,
}
POINT = dict.fromkeys(POINTS, "") | {
    "setup": "mlp",
    "y_name": "test_accuracy",
    "x_name": "rho",
    "n_seeds": 2,
    "n_diverged": 0,
    "y_mean": 0.712,
    "y_ci_low": 0.7,
    "y_ci_high": 0.724,
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with what a study of two figures of curves and one of landscapes leaves."""
    figures = tmp_path / "figures" / "mine"
    figures.mkdir(parents=True)
    (tmp_path / "claims").mkdir()
    (figures / "study.yaml").write_text(STUDY)
    line = POINT | {"figure": "figure_2"}
    curve = [
        line | {"method_label": "SAM", "x": 0.1},
        line | {"method_label": "SAM", "x": 0.3, "n_diverged": 1},
        line | {"method_label": "PSAM", "x": 0.3, "n_seeds": 0, "n_diverged": 3, "y_mean": None},
    ]
    pd.DataFrame(curve).to_csv(figures / "figure_2.csv", index=False)
    trace = POINT | {"figure": "figure_10", "y_name": "tr_H", "x_name": "step", "x": 28, "y_mean": -10930.4}
    pd.DataFrame([trace]).to_csv(figures / "figure_10.csv", index=False)
    pd.DataFrame([{"figure": "figure_7", "w1": 0}]).to_csv(figures / "figure_7.csv", index=False)
    pd.DataFrame([line]).to_csv(figures / "figure_2.runs.csv", index=False)
    pd.DataFrame([{"what": "runs", "jax": "0.10"}]).to_csv(figures / "versions.csv", index=False)
    bare = CLAIM | {"claim": "two", "setup": "bare", "n_seeds": 0, "ci_low": "", "verdict": "supported"}
    pd.DataFrame([CLAIM, bare]).to_csv(tmp_path / "claims" / "mine.csv", index=False)
    return tmp_path


def tables(store: Path, names: str) -> str:
    folder = store / "text"
    folder.mkdir()
    collect(store, "mine", folder)
    text = "".join(f"<!-- {name} -->\nold\n<!-- end -->\n" for name in names.split())
    found = renewed(f"before\n{text}after\n", folder)
    assert renewed(found, folder) == found
    return found


def test_verdicts(store: Path) -> None:
    found = tables(store, "verdicts counts verdicts_figure_2 undecided")
    assert re.search("<!-- verdicts -->(.*?)<!--", found, re.DOTALL)[1] in found.split("<!-- verdicts_figure_2 -->")[1]
    assert found.startswith("before\n<!-- verdicts -->\n| claim | setup |")
    assert "| A \\| B differ. | MLP | −1.23 [−2.5, +0.031] points | 5 | undecided |" in found
    assert "| A \\| B differ. | bare | −1.23 points | – | supported |" in found
    assert "1 supported, 1 undecided" in found
    assert "| A \\| B differ. | MLP | 2.35 | 9 | none would do |" in found
    assert found.endswith("<!-- end -->\nafter\n")


def test_a_figure_has_a_row_a_line_and_a_column_an_x(store: Path) -> None:
    found = tables(store, "figure_2 figure_10 versions")
    assert "| method | ρ = 0.1 | ρ = 0.3 |\n| --- | --- | --- |\n" in found
    assert "| SAM | 71.2 [70.0, 72.4] | 71.2 (2 left, 1 diverged) |\n| PSAM |  | (3 diverged) |\n" in found
    assert "| setup | step = 28 |\n| --- | --- |\n| MLP | −1.09e+04 [0.7, 0.724] |\n" in found
    assert "| what | jax |" in found


def test_pictures_that_a_text_shows_are_copied_small(store: Path) -> None:
    figures, folder = store / "figures" / "mine", store / "text"
    folder.mkdir()
    for name in ("figure_2", "figure_7"):
        Image.new("RGB", (3000, 1500), "white").save(figures / f"{name}.png")
    copy_pictures("![A figure](text/figure_2.png) ![Another's](other/figure_7.png)", figures, folder)
    assert [path.name for path in folder.iterdir()] == ["figure_2.png"]
    assert Image.open(folder / "figure_2.png").size == (1000, 500)
    with pytest.raises(UserError, match=r"figure_10\.png: no such figure; .snakemake report. draws it"):
        copy_pictures("![A figure](text/figure_10.png)", figures, folder)


def test_a_table_that_is_not_there_is_refused(store: Path) -> None:
    with pytest.raises(UserError, match=r"figure_9: no such table; there are .*figure_2, figure_10"):
        tables(store, "figure_9")
    (store / "claims" / "mine.csv").unlink()
    with pytest.raises(UserError, match=r"mine\.csv: cannot be read .*.snakemake report. makes it"):
        collect(store, "mine", store / "text")


@pytest.mark.parametrize("page", TEXTS.values(), ids=TEXTS)
def test_the_tables_of_a_page_are_those_of_the_results_beside_it(page: Path) -> None:
    text = page.read_text("utf-8")
    assert renewed(text, page.with_suffix("")) == text


@pytest.mark.parametrize("file", TEXTS)
def test_the_results_are_of_todays_claims(file: str) -> None:
    claims = pd.read_csv(TEXTS[file].with_suffix("") / "claims.csv").drop_duplicates("claim")
    study = load(ROOT / "config" / file)
    assert dict(zip(claims["claim"], claims["says"], strict=True)) == {n: c.says for n, c in study.claims.items()}


@pytest.mark.parametrize("page", TEXTS.values(), ids=TEXTS)
def test_every_picture_of_a_page_is_there_and_no_other(page: Path) -> None:
    folder = page.with_suffix("")
    shown = re.findall(rf"\]\(({folder.name}/\w+\.png)\)", page.read_text("utf-8"))
    assert sorted(shown) == sorted(f"{folder.name}/{path.name}" for path in folder.glob("*.png"))


@pytest.mark.parametrize("page", TEXTS.values(), ids=TEXTS)
def test_no_number_of_a_page_was_typed(page: Path) -> None:
    """Results are in tables; prose has names that hold digits, and what the study's own settings are."""
    text = re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", "", page.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"MNIST-1D|CIFAR-10|1-D|[Ff]igures? \d+( and \d+)?|`[^`]*`|φ'' :?= 0|at 95 %", "", text)
    assert re.findall(r"[^\n]*\d[^\n]*", text) == []
