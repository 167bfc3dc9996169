"""Tables that other people's programs read: every column is documented, and a naive reader is right."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from nmepkg.analysis.keys import activation_columns, method_columns
from nmepkg.analysis.observations import ORIGINS
from nmepkg.analysis.origin import versions
from nmepkg.analysis.quantities import METRIC_NAMES
from nmepkg.analysis.render import render
from nmepkg.analysis.statistics import mean_interval, spread
from nmepkg.analysis.tables import plane_tables, tables, write_tables
from nmepkg.registry import ACTIVATIONS, METHODS
from nmepkg.runs.figure_identity import figure_identity
from tests.analysis.samples import ABLATED, GELU, PLANE, RELU, TRACES, Sample, figure, grid, plane
from tests.analysis.study import draw_nothing, prepare

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
OPTIONS = {option for entries in (METHODS, ACTIVATIONS) for entry in entries.values() for option in entry.options}
PATTERNS: Mapping[str, set[str]] = {
    "<metric>": set(METRIC_NAMES),
    "<version>": set(ORIGINS),
    "<option>": OPTIONS | {"second_derivative"},
}
FIRST = {"lines": "m", "differences": "first_line"}
SECTIONS = ("Points", "Runs", "Landscapes: points", "Landscapes: runs", "Planes: points", "Planes: runs", "Versions")
KINDS = {"curve": "{}", "landscape": "Landscapes: {}", "plane": "Planes: {}"}


def documented(section: str) -> list[set[str]]:
    """The columns that a section of the page explains; a pattern is all that it stands for."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = []
    for name, meaning in re.findall(r"^\| `(.*?)` \| (.+) \|$", text, flags=re.MULTILINE):
        assert meaning.strip()
        (values,) = [values for pattern, values in PATTERNS.items() if pattern in name] or [{""}]
        found.append({re.sub("<.*>", value, name) for value in values})
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[pd.DataFrame]]:
    """The tables of every kind of figure, as files, by the section that explains them."""
    folder = tmp_path_factory.mktemp("figures")
    study, expansion = prepare(folder)
    found: dict[str, list[pd.DataFrame]] = {section: [] for section in SECTIONS}
    for name, drawn in study.figures.items():
        with pytest.MonkeyPatch.context() as patch:
            draw_nothing(patch)
            render(study, expansion, drawn, folder / "out", figure_identity(study, expansion, drawn))
        kind = KINDS[drawn.kind]
        for what, end in (("points", ".csv"), ("runs", ".runs.csv")):
            found[kind.format(what).capitalize()].append(pd.read_csv(folder / "out" / f"{name}{end}"))
    found["Versions"].append(versions(sorted((folder / "out").glob("*.runs.csv"))))
    for number, axes in enumerate(({"lines": "m"}, {"lines": "second_derivative"}, {"rows": "experiment"}, FIRST)):
        sample = Sample(folder / f"axes{number}")
        for seed in range(2):
            sample.add(0.5, activation=ABLATED, options={"m": 8}, axes={"m": 8}, seed=seed)
        for section, table in zip(("Points", "Runs"), tables(sample.collect(figure(**axes))), strict=True):
            found[section].append(table)
    sample = Sample(folder / "planes")
    sample.add(0.5, strength=0, options={"m": 8}, axes={"m": 8}, measured={"final": plane(PLANE)}, measurement=PLANE)
    found_planes = sample.planes(figure(kind="plane", measurement="loss_plane", x="", rows="experiment", columns="m"))
    for section, table in zip(("Planes: points", "Planes: runs"), plane_tables(found_planes), strict=True):
        found[section].append(table)
    ahead = {"kind": "prediction", "at": ["final"], "radii": [0.1, 1.0]}
    sample = Sample(folder / "radii")
    sample.add(0.5, measured={"final": {"gap_H": [0.1, 0.2]}}, measurement=ahead)
    drawn = figure(measurement="prediction", x="radius", y=("gap_H",), lines="method")
    for section, table in zip(("Points", "Runs"), tables(sample.collect(drawn)), strict=True):
        found[section].append(table)
    return found


@pytest.mark.parametrize("section", SECTIONS)
def test_every_column_is_documented_and_every_documented_column_is_there(
    section: str, written: dict[str, list[pd.DataFrame]]
) -> None:
    there = {name for table in written[section] for name in table}
    names = documented(section)
    assert there - set().union(*names) == set()
    assert [name for name in names if not name & there] == []
    assert all(names.count(name) == 1 for name in names)


def test_keys_are_the_same_in_every_table(written: dict[str, list[pd.DataFrame]]) -> None:
    """Names that a study writes, with their options as JSON, and labels that hold no strength."""
    frames = [table for section in ("Points", "Runs") for table in written[section]]
    for table in frames:
        assert set(table["method"]) <= set(METHODS)
        assert set(table["activation"]) <= set(ACTIVATIONS)
        assert set(table["strength_name"].dropna()) <= {"rho", "sigma2"}
        for kind in ("method", "activation"):
            assert table[f"{kind}_options"].map(lambda text: isinstance(json.loads(text), dict)).all()
    labels = pd.concat(frames).groupby(["method", "method_options"])["method_label"].nunique()
    assert (labels == 1).all()
    plane = written["Landscapes: points"][0]
    assert plane[["activation", "activation_label"]].drop_duplicates().values.tolist() == [
        ["relu", "ReLU"],
        ["gelu", "GELU"],
    ]


def test_equal_options_are_equal_texts() -> None:
    plain, written_out = ({"name": "psam"}, {"name": "psam", "m": None, "label": "mine"})
    one, other = (method_columns(method, 0.1) for method in (plain, written_out))
    assert one == {
        "method": "psam", "method_options": '{"m":null}', "method_label": "PSAM", "strength_name": "rho", "strength": 0.1,
    }  # fmt: skip
    assert other == {**one, "method_label": "mine"}
    assert method_columns({"name": "sgd"}, 0.0)["strength_name"] is None
    assert method_columns({"name": "sgd"}, 0.0, "adamw")["method_label"] == "AdamW"
    synthetic = {"name": "relu", "second_derivative": {"name": "gaussian", "beta": 100.0}}
    assert activation_columns(synthetic) == {
        "activation": "relu",
        "activation_options": '{"second_derivative":{"beta":100.0,"name":"gaussian"}}',
        "activation_label": "ReLU, synthetic φ″ (β = 100)",
    }


def _lost(setup: str, method: str, activation: Any, rho: float, seed: int) -> float | None:
    return None if rho == 0.1 and seed == 0 else 0.98 + 0.01 * seed


def test_a_diverged_run_has_no_number_of_any_evaluation(tmp_path: Path) -> None:
    points, runs = tables(grid(tmp_path, _lost, methods=("psam",), activations=(GELU,)).collect(figure()))
    write_tables(points, runs, tmp_path / "figure")
    points, runs = (pd.read_csv(tmp_path / f"figure{end}") for end in (".csv", ".runs.csv"))
    lost = runs["status"] == "diverged"
    numbers = [name for name in runs if name.startswith(("final_", "best_validation_", "median_last_")) or name == "y"]
    assert len(numbers) == 3 * 7 + 1
    assert runs.loc[lost, numbers].isna().all(axis=None)
    assert runs.loc[~lost, numbers].notna().all(axis=None)
    assert runs.loc[lost, "diverged_step"].tolist() == [7]
    assert runs.loc[~lost, "diverged_step"].isna().all()
    for column in ("y", "final_test_accuracy"):
        assert runs.groupby("x")[column].mean().tolist() == pytest.approx(points["y_mean"].tolist())
    assert ",7," in (tmp_path / "figure.runs.csv").read_text()  # a whole number, though others are missing


def test_the_spread_of_seeds_is_beside_their_interval(tmp_path: Path) -> None:
    points, _ = tables(grid(tmp_path, _lost, methods=("psam",), activations=(GELU,)).collect(figure()))
    whole = points[points["x"] == 0.01].iloc[0]
    assert (whole["y_sd"], whole["y_min"], whole["y_max"]) == pytest.approx((0.01, 0.98, 1.0))
    assert points[points["x"] == 0.1].iloc[0]["y_min"] == pytest.approx(0.99)  # the diverged seed has none
    single = tables(grid(tmp_path / "one", _lost, methods=("psam",), seeds=1).collect(figure(columns="activation")))[0]
    assert single["y_sd"].isna().all()
    assert spread([]) == pytest.approx((np.nan,) * 3, nan_ok=True)


def test_an_interval_holds_what_can_be_and_drawing_keeps_the_whole(tmp_path: Path) -> None:
    curves = grid(tmp_path, _lost, methods=("psam",), activations=(GELU,)).collect(figure())
    points, _ = tables(curves)
    expected = mean_interval([0.99, 1.0])
    assert expected.high > 1
    last, whole = points.iloc[-1], curves.points.iloc[-1]
    assert (last["y_ci_low"], last["y_ci_high"]) == pytest.approx((expected.low, 1.0))
    assert whole["ci_high"] == pytest.approx(expected.high)
    assert last["train_accuracy_ci_high"] <= 1


@pytest.mark.parametrize(("quantity", "low", "high"), [("tr_H", -90, 90), ("norm_N", 0, 90), ("cosine_N", -1, 1)])
def test_other_quantities_have_bounds_of_their_own(quantity: str, low: float, high: float, tmp_path: Path) -> None:
    """And a difference of two such numbers those of differences."""
    sample = Sample(tmp_path)
    for rho in (0.0, 0.1):
        for seed, value in enumerate((-0.9, 0.9) if low < 0 else (0.1, 0.9)):
            sample.add(
                0.5, strength=rho, seed=seed, measured={"final": {quantity: value if rho else -value}},
                measurement={**TRACES, "at": ["final"]},
            )  # fmt: skip
    points, _ = tables(sample.collect(figure(measurement="traces", y=(quantity,))))
    point = points[points["x"] == 0.1].iloc[0]
    assert point["y_ci_low"] >= low
    assert point["y_ci_high"] <= high
    assert (point["y_ci_low"] == low) == (quantity != "tr_H")
    if quantity == "cosine_N":
        assert (point["change_ci_low"], point["change_ci_high"]) == (-2, 2)


def test_what_is_repeated_is_marked_and_every_curve_whole(tmp_path: Path) -> None:
    sample = grid(tmp_path, lambda s, m, a, rho, k: 0.5 + rho, methods=("sam", "psam"), activations=(GELU, RELU))
    points, runs = tables(sample.collect(figure(columns="activation", lines="method")))
    assert points[points["repeated"]][["method", "x"]].values.tolist() == [["psam", 0.0]] * 2
    assert len(points.pivot_table(index=["activation", "x"], columns="method", values="y_mean").dropna()) == 2 * 3
    once = runs[~runs["repeated"]]
    assert sorted(once["run"]) == sorted(sample.specs)
    assert " ".join(points[~points["repeated"]]["runs"]).split() == list(once["run"])


def test_one_run_measured_at_two_places_is_not_repeated(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    measured = {
        "initial": {"tr_H": 1.0, "tr_G": 3.0},
        100: {"tr_H": 2.0, "tr_G": 3.0},
        "final": {"tr_H": 2.0, "tr_G": 3.0},
    }
    sample.add(0.5, measured=measured)
    drawn = figure(measurement="traces", x="step", x_scale="linear", y=("tr_H", "tr_G"), lines="quantity")
    for table in tables(sample.collect(drawn)):
        assert len(table) == 2 * 3
        assert not table["repeated"].any()


@pytest.fixture
def closed() -> Iterator[None]:
    with matplotlib.rc_context():
        plt.switch_backend("agg")
        yield
        plt.close("all")


def test_the_recipe_redraws_a_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: None) -> None:
    accuracy = {"sam": 0.7, "psam": 0.5}
    curves = grid(tmp_path / "store", lambda s, m, a, rho, k: accuracy[m] + rho + 0.01 * k).collect(
        figure(name="figure_1", rows="setup", columns="activation", lines="method")
    )
    write_tables(*tables(curves), tmp_path / "figure_1")
    monkeypatch.chdir(tmp_path)
    (recipe,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(recipe, {})
    ax = plt.gca()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["SAM", "PSAM"]
    for line, name in zip(ax.get_lines(), ("sam", "psam"), strict=True):
        expected = [[rho, 100 * (accuracy[name] + rho + 0.01)] for rho in (0.01, 0.1)]
        np.testing.assert_allclose(line.get_xydata(), expected)
    assert ax.get_xscale() == "log"
    assert (tmp_path / "panel.pdf").stat().st_size > 0


def test_a_table_has_the_differences_that_are_drawn(tmp_path: Path) -> None:
    sample = grid(
        tmp_path, lambda setup, method, activation, rho, seed: 0.5 + rho * (method == "psam") + 0.1 * seed, rho=(0, 0.1)
    )
    points, _ = tables(sample.collect(figure(columns="activation", lines="method", differences="first_line")))
    differ = points[points["difference_n_seeds"].notna()]
    assert differ[["method", "x"]].drop_duplicates().to_numpy().tolist() == [["psam", 0.1]]
    np.testing.assert_allclose(differ["difference_mean"], 0.1)
    np.testing.assert_allclose(differ["difference_ci_low"], 0.1)
    points, _ = tables(sample.collect(figure(columns="activation", lines="method")))
    assert "difference_mean" not in points
