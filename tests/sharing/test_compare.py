"""Two stores side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nmepkg.__main__ import main
from nmepkg.runs.expansion import Run
from nmepkg.sharing.compare import _holm, compare
from nmepkg.storage import Store
from tests.sharing.filled import by_seed, filled, finish
from tests.upkeep.made import Made


def shifted(run: Run) -> float | None:
    """PSAM is worse, by nearly the same for each seed; SAM a little, either way; and one run diverges."""
    method, seed, accuracy = run.spec["method"], run.spec["seed"], by_seed(run)
    assert accuracy is not None
    if method["name"] == "sam" and method["strength"] == 0.2 and seed == 1:
        return None
    return accuracy + {"psam": -0.3 + 1e-4 * seed, "sam": 0.01 * (-1) ** seed}.get(method["name"], 0)


@pytest.fixture
def other(tmp_path: Path) -> Made:
    return filled(tmp_path / "other", shifted)


def test_what_moved_is_told_from_what_seeds_explain(
    here: Made, whole: Path, other: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive and a folder, by seeds: the interval is SciPy's of a paired t-test."""
    words = ["compare", "full.tar.xz", str(other.store.root), "--study", "config/study.yaml"]
    assert main([*words, "--csv", "points.csv"]) == 1
    said = capsys.readouterr().out
    assert "10 points, 6 of them equal to the last bit\nof 3 others 2 moved beyond the 95% interval" in said, said
    assert "by chance alone 0.2 would" in said
    assert "curve: mlp, PSAM, GELU, rho 0.1: test_accuracy\n    0.535 [" in said
    assert "1 of which other seeds diverged" in said
    table = pd.read_csv("points.csv")
    named = {(row.method, row.strength, row.y_name): row for row in table.itertuples()}
    verdicts = {key: row.verdict for key, row in named.items()}
    assert verdicts["psam", 0.1, "test_accuracy"] == verdicts["psam", 0.2, "test_accuracy"] == "moved"
    assert verdicts["sam", 0.1, "test_accuracy"] == "within"
    assert verdicts["sam", 0.2, "test_accuracy"] == "diverged"
    assert {verdict for key, verdict in verdicts.items() if key[2] == "norm_H"} == {"same"}
    moved = named["psam", 0.1, "test_accuracy"]
    x, y = ([by(run) for run in here.runs if run.spec["method"] == {"name": "psam", "m": None, "strength": 0.1}]
            for by in (by_seed, shifted))  # fmt: skip
    tested = stats.ttest_rel(y, x)
    low, high = tested.confidence_interval(0.95)
    found = (moved.difference, moved.difference_ci_low, moved.difference_ci_high, moved.p)
    assert found == pytest.approx((np.mean(y) - np.mean(x), low, high, tested.pvalue))
    assert (moved.a_mean, moved.a_n_seeds, moved.n_paired) == (pytest.approx(np.mean(x)), 2, 2)
    assert main([*words, "--json", "--level", "0.99999"]) == 1, "a run that diverged is no matter of intervals"
    assert json.loads(capsys.readouterr().out)["by_chance"] == pytest.approx(3e-5)


def test_points_at_steps_are_compared_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In rows of a figure, and along its axis."""
    rest = "{experiments: [main], measurement: step, x: step, y: norm_H, lines: method, columns: rho}"
    along = f"y: norm_H, lines: method, rows: at}}\n  along: {rest}"
    edits = [
        ("at: [final]", "at: [1, 2]"),
        ("y: norm_H, lines: method}", along),
    ]
    made = filled(tmp_path / "steps", edits=edits)
    monkeypatch.chdir(made.folder)
    assert main(["compare", "results", "results", "--study", "config/study.yaml"]) == 0
    assert "25 points, 25 of them equal to the last bit" in capsys.readouterr().out


def test_equal_results_exit_with_0(here: Made, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "bare.tar.xz", str(whole / "results"), "--study", "config/study.yaml"]) == 0
    assert "10 points, 10 of them equal to the last bit" in capsys.readouterr().out
    assert main(["compare", "bare.tar.xz", str(whole / "config"), "--study", "config/study.yaml"]) == 2
    assert "no store: there are no runs" in capsys.readouterr().err


def test_other_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    """As SciPy does."""

    def above(run: Run) -> float:
        return 0.9 - (by_seed(run) or 0) / 10

    one, two = filled(tmp_path / "a"), Made(tmp_path)
    two.edit("seeds: [0, 1]", "seeds: [2, 3, 4]")
    for run in two.runs:
        finish(two, run, above(run), start="2026-01-01T00:00:00Z", data_sha256="0" * 64)
    one.edit("seeds: [0, 1]", "seeds: [0, 1, 2, 3, 4]")
    found = compare(one.study, one.expansion, (Store(one.folder / "results"), two.store)).table
    (row,) = found[(found["method"] == "psam") & (found["strength"] == 0.1)].to_dict("records")
    runs = [run for run in one.runs if run.spec["method"]["name"] == "psam" and run.spec["method"]["strength"] == 0.1]
    x, y = [by_seed(run) for run in runs[:2]], [above(run) for run in runs[2:]]
    tested = stats.ttest_ind(y, x, equal_var=False)
    assert (row["n_paired"], row["p"]) == (0, pytest.approx(tested.pvalue))
    interval = tested.confidence_interval(0.95)
    assert (row["difference_ci_low"], row["difference_ci_high"]) == pytest.approx(tuple(interval))


def test_holms_correction() -> None:
    """The example of Holm (1979), by hand: the least p times 4, the next times 3, never below one before."""
    p = np.array([0.01, 0.04, math.nan, 0.03, 0.005])
    np.testing.assert_allclose(_holm(p), [0.03, 0.06, math.nan, 0.06, 0.02])
