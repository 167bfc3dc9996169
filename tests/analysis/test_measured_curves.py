"""Tables of figures that draw measurements, several quantities, or training steps."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nmepkg.analysis.axis_labels import axis_label
from nmepkg.analysis.labels import axis_title
from nmepkg.analysis.render import mixed_origins
from nmepkg.analysis.statistics import mean_interval
from nmepkg.analysis.tables import tables, write_tables
from nmepkg.errors import UserError
from tests.analysis.figures.forms import trajectories
from tests.analysis.samples import GELU, TRACES, Sample, figure, measurement_content


def _values(h: float, g: float | None = 17.0) -> dict[str, float | None]:
    return {"tr_H": h, "tr_G": g, "tr_N": None if g is None else h - g, "tr_H_se": 0.5}


def _sample(store: Path, seeds: int = 3) -> Sample:
    """SGD and a penalty at two strengths; the last seed of the larger one diverges after step 100."""
    sample = Sample(store)
    for sigma2 in (0.0, 1e-3, 1e-2):
        for seed in range(seeds):
            diverges = sigma2 == 1e-2 and seed == seeds - 1
            end = None if diverges else _values(10.0 + seed - 100 * sigma2)
            sample.add(
                None if diverges else 0.5,
                method="hessian_trace",
                strength=sigma2,
                seed=seed,
                measured={"initial": _values(20.0 + seed), 100: _values(15.0), "final": end},
            )
    return sample


def _figure(**changes: Any) -> Any:
    return figure(**{"measurement": "traces", "x": "sigma2", "y": ("tr_H",), "lines": "at", **changes})


def _point(points: pd.DataFrame, **where: Any) -> pd.Series:
    for name, value in where.items():
        points = points[points[name] == value]
    assert len(points) == 1
    return points.iloc[0]


def test_a_point_is_the_mean_over_its_seeds_with_its_interval(tmp_path: Path) -> None:
    curves = _sample(tmp_path).collect(_figure())
    assert curves.lines == ["initial", 100, "final"]
    assert curves.has_baseline
    assert len(curves.points) == 3 * 3
    point = _point(curves.points, at="final", x=1e-3)
    assert (point["n_seeds"], point["n_diverged"], point["step"]) == (3, 0, 600)
    assert (point["quantity"], point["y_name"], point["y_of"]) == ("tr_H", "tr_H", "traces")
    assert (point["mean"], point["ci_low"], point["ci_high"]) == pytest.approx(mean_interval([9.9, 10.9, 11.9])[1:])
    assert (point["change_mean"], point["change_ci_low"]) == pytest.approx((-0.1, -0.1))
    assert "train_accuracy_mean" not in curves.points


def test_a_run_that_diverged_counts_where_it_had(tmp_path: Path) -> None:
    points = _sample(tmp_path).collect(_figure()).points
    before, after = (_point(points, at=at, x=1e-2) for at in ("initial", "final"))
    assert (before["n_seeds"], before["n_diverged"], before["mean"]) == (3, 0, 21.0)
    assert (after["n_seeds"], after["n_diverged"]) == (2, 1)
    assert after["mean"] == pytest.approx(9.5)
    assert pd.isna(after["step"])  # 107 of one run, 600 of the others


def test_every_quantity_of_a_run_has_a_row(tmp_path: Path) -> None:
    figure_6 = _figure(x="step", x_scale="linear", rows="sigma2", y=("tr_H", "tr_G"), lines="quantity")
    curves = _sample(tmp_path).collect(figure_6)
    runs = curves.runs
    assert curves.lines == ["tr_H", "tr_G"]
    assert curves.rows == [0.0, 1e-3, 1e-2]
    assert not curves.has_baseline
    assert curves.points["change_mean"].isna().all()  # step 0 is no baseline
    assert len(runs) == 3 * 3 * 3 * 2
    assert set(runs["status"]) == {"measured", "not_finite"}
    one = runs[(runs["quantity"] == "tr_H") & (runs["sigma2"] == 1e-3) & (runs["seed"] == 0)]
    assert one[["at", "step", "x", "_y", "se"]].values.tolist() == [
        ["initial", 0, 0.0, 20.0, 0.5],
        [100, 100, 100.0, 15.0, 0.5],
        ["final", 600, 600.0, 9.9, 0.5],
    ]
    assert runs[runs["quantity"] == "tr_G"]["se"].isna().all()
    assert set(runs["measurement_code"]) == {"c0de2"}
    assert set(runs["code"]) == {"c0de"}


def test_a_null_is_no_number_of_its_quantity_alone(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for seed in range(2):
        measured = {"initial": _values(1.0), 100: _values(2.0, None if seed else 7.0), "final": _values(3.0)}
        sample.add(0.5, seed=seed, measured=measured)
    curves = sample.collect(_figure(x="step", x_scale="linear", y=("tr_H", "tr_G"), lines="quantity"))
    assert _point(curves.points, quantity="tr_H", x=100.0)["n_seeds"] == 2
    point = _point(curves.points, quantity="tr_G", x=100.0)
    assert (point["n_seeds"], point["n_diverged"], point["mean"]) == (1, 1, 7.0)
    assert curves.runs[curves.runs["_y"].isna()]["status"].tolist() == ["not_finite"]


def test_steps_that_were_not_reached_are_diverged(tmp_path: Path) -> None:
    curves = trajectories(tmp_path)
    runs = curves.runs[(curves.runs["method"] == "hessian_trace") & (curves.runs["activation"] == "gelu")]
    assert set(runs["run_status"]) == {"diverged"}
    assert set(runs["status"]) == {"measured", "not_finite", "not_reached"}
    assert runs[runs["status"] == "not_reached"]["_y"].isna().all()
    point = _point(curves.points, method="hessian_trace", activation="gelu", quantity="tr_G", x=300.0)
    assert (point["n_seeds"], point["n_diverged"]) == (3, 2)
    assert math.isfinite(point["mean"])


def test_a_run_measured_twice_at_its_last_step_counts_once(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(
        0.5, seed=0, measured={600: _values(1.0), "final": _values(1.0)}, measurement={**TRACES, "at": [600, "final"]}
    )
    curves = sample.collect(_figure(x="step", x_scale="linear", lines=None))
    assert curves.points["n_seeds"].tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lines": None}, "measurements at initial and 100 fall on one point and seed"),
        ({"y": ("tr_H", "tr_G")}, "tr_H and tr_G fall on one point"),
        ({"x": "step", "lines": None, "rows": "sigma2"}, "step = 0 has no place on a logarithmic axis"),
        ({"x": "at", "x_scale": "linear", "lines": None}, "at is 'initial' in a run; it must be a number"),
        ({"y": ("loss",)}, "without the quantity 'loss'"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _sample(tmp_path).collect(_figure(**changes))


def test_several_metrics_of_the_evaluation(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for seed in range(2):
        sample.add(0.6 + 0.1 * seed, seed=seed)
    curves = sample.collect(figure(y=("test_accuracy", "train_accuracy"), columns="quantity"))
    assert curves.columns == ["test_accuracy", "train_accuracy"]
    assert curves.points[["quantity", "y_name"]].values.tolist() == [["test_accuracy"] * 2, ["train_accuracy"] * 2]
    assert curves.points["mean"].tolist() == pytest.approx([0.65, 0.70])


def test_a_method_has_its_strength_where_no_axis_shows_it(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for method, strength in (("sgd", 0.0), ("psam", 0.1)):
        sample.add(
            0.5, method=method, activation={"name": "beta_gelu", "beta": 1.0}, strength=strength, axes={"beta": 1.0}
        )
    curves = sample.collect(figure(x="beta", lines="method"))
    assert [axis_label("method", value, {}) for value in curves.lines] == ["SGD", "PSAM (ρ = 0.1)"]
    assert [axis_label("method", value, {}) for value in sample.collect(figure(lines="method")).lines] == [
        "SGD",
        "PSAM",
    ]
    columns = ["method", "method_label", "strength_name", "strength"]
    rows = curves.points[columns].astype(object).where(curves.points[columns].notna(), None).values.tolist()
    assert rows == [["sgd", "SGD", None, 0.0], ["psam", "PSAM", "rho", 0.1]]  # which tables have in a column of its own


def test_zero_has_a_place_on_a_linear_axis(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for rho in (0.0, 0.1):
        sample.add(0.5 + rho, strength=rho)
    curves = sample.collect(figure(x_scale="linear"))
    assert not curves.has_baseline
    assert curves.on_axis(curves.points)["x"].tolist() == [0.0, 0.1]
    assert curves.points["change_mean"].tolist()[1] == pytest.approx(0.1)


def test_tables_can_be_read_back(tmp_path: Path) -> None:
    curves = _sample(tmp_path).collect(_figure())
    points, runs = tables(curves)
    write_tables(points.assign(note="a note"), runs, tmp_path / "out" / "figure")
    points, runs = (pd.read_csv(tmp_path / "out" / f"figure{end}") for end in (".csv", ".runs.csv"))
    assert not [name for name in (*points, *runs) if name.startswith("_")]
    assert {"y_name", "at", "step", "y", "y_se", "run", "seed", "status", "measurement", "jax"} <= set(runs)
    assert not {"quantity", "sigma2", "value", "se"} & {*points, *runs}  # no number twice
    means = runs.groupby(["at", "x"])["y"].mean()
    assert len(points) == 9
    for _, point in points.iterrows():
        assert point["y_mean"] == pytest.approx(means[point["at"], point["x"]], rel=1e-12)


def test_the_versions_of_measurements_are_compared_too(tmp_path: Path) -> None:
    sample = _sample(tmp_path, seeds=1)
    assert mixed_origins(sample.collect(_figure()).runs) == ""
    job = next(iter(sample.jobs.values()))
    measured = {at: _values(1.0) for at in TRACES["at"]}
    sample.write_measurement(job, measurement_content(job, sample.specs[str(job.run)], measured, device="gpu"))
    assert mixed_origins(sample.collect(_figure()).runs) == "mixes device cpu, gpu"


def test_an_activation_is_itself_without_its_axes(tmp_path: Path) -> None:
    assert _sample(tmp_path).collect(_figure(columns="activation")).columns == [GELU]


AHEAD = {"kind": "prediction", "at": ["final"], "radii": [0.1, 1.0]}


def _ahead(store: Path, gaps: list[Any]) -> Sample:
    sample = Sample(store)
    for seed in range(2):
        values = [None if gap is None else gap + seed / 10 for gap in gaps]
        sample.add(0.5, seed=seed, measured={"final": {"gap_H": values, "gap_H_se": [0.25, 0.5]}}, measurement=AHEAD)
    return sample


def test_a_quantity_of_every_radius_is_a_point_of_each(tmp_path: Path) -> None:
    drawn = figure(measurement="prediction", x="radius", y=("gap_H",), lines="method")
    curves = _ahead(tmp_path, [1.0, 3.0]).collect(drawn)
    points, _ = tables(curves)
    assert points["x"].tolist() == points["radius"].tolist() == [0.1, 1.0]
    assert points["y_mean"].tolist() == pytest.approx([1.05, 3.05])
    assert curves.runs["se"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert not points["repeated"].any()


def test_a_radius_that_has_no_number_is_missing_alone(tmp_path: Path) -> None:
    curves = _ahead(tmp_path, [1.0, None]).collect(
        figure(measurement="prediction", x="radius", y=("gap_H",), lines="method")
    )
    assert curves.points["n_seeds"].tolist() == [2, 0]
    assert curves.points["mean"].tolist()[0] == pytest.approx(1.05)


def test_radii_that_fall_on_one_point_are_refused(tmp_path: Path) -> None:
    drawn = figure(measurement="prediction", x="rho", x_scale="linear", y=("gap_H",), lines="method")
    with pytest.raises(UserError, match=r"radii 0\.1 and 1\.0"):
        _ahead(tmp_path, [1.0, 3.0]).collect(drawn)


def test_the_title_of_radii_and_a_line_of_one() -> None:
    assert axis_title("radius", True) == "Distance ρ"
    assert axis_label("radius", 0.1, {}) == "ρ = 0.1"
