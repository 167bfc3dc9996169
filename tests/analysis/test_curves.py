import math
from pathlib import Path

import pytest

from nmepkg.analysis.curves import PLACE
from nmepkg.analysis.statistics import mean_interval
from nmepkg.errors import UserError
from tests.analysis.samples import ABLATED, GELU, RELU, Sample, figure, grid


def _accuracy(setup, method, activation, rho, seed):
    if method == "psam" and activation is RELU and rho == 0.1 and seed == 1:
        return None
    return 0.6 + rho + 0.01 * seed + (0.1 if activation is GELU else 0.0)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return grid(tmp_path, _accuracy)


def test_a_point_is_the_mean_over_its_seeds_with_its_interval(sample: Sample) -> None:
    points = sample.collect(figure(columns="activation", lines="method")).points
    assert len(points) == 2 * 2 * 3
    point = points[(points["method"] == "sam") & (points["activation"] == "gelu") & (points["x"] == 0.01)].iloc[0]
    expected = mean_interval([0.71, 0.72, 0.73])
    assert (point["n_seeds"], point["n_diverged"]) == (3, 0)
    assert (point["mean"], point["ci_low"], point["ci_high"]) == pytest.approx(expected[1:])
    assert point["train_accuracy_mean"] == pytest.approx(expected.mean + 0.05)
    assert (point["change_mean"], point["change_ci_low"]) == pytest.approx((0.01, 0.01))
    runs = point["runs"].split()
    assert [run.split("-")[-2] for run in runs] == ["s0", "s1", "s2"]
    assert set(runs) <= set(sample.specs)


def test_a_diverged_run_is_counted_and_left_out_of_every_mean(sample: Sample) -> None:
    points = sample.collect(figure(columns="activation", lines="method")).points
    point = points[(points["method"] == "psam") & (points["activation"] == "relu") & (points["x"] == 0.1)].iloc[0]
    assert (point["n_seeds"], point["n_diverged"], point["change_n_seeds"]) == (2, 1, 2)
    assert (point["mean"], point["ci_low"]) == pytest.approx(mean_interval([0.7, 0.72])[1:3])
    assert point["change_mean"] == pytest.approx(0.1)
    assert len(point["runs"].split()) == 3


def test_where_all_runs_diverge_there_is_no_mean(tmp_path: Path) -> None:
    sample = grid(tmp_path, lambda s, m, a, rho, k: None if rho == 0.1 else 0.5, methods=("psam",), activations=(RELU,))
    point = sample.collect(figure()).points.set_index("x").loc[0.1]
    assert (point["n_seeds"], point["n_diverged"]) == (0, 3)
    assert math.isnan(point["mean"])


def test_a_single_seed_has_no_interval(tmp_path: Path) -> None:
    points = grid(tmp_path, _accuracy, seeds=1, methods=("sam",), activations=(GELU,)).collect(figure()).points
    assert points["mean"].notna().all()
    assert points["ci_low"].isna().all()


def test_the_runs_at_strength_zero_are_shared_but_shown_with_every_method(sample: Sample) -> None:
    runs = sample.collect(figure(columns="activation", lines="method")).runs
    assert len(runs) == 2 * 2 * 3 * 3
    at_zero = runs[runs["x"] == 0]
    assert set(at_zero["method"]) == {"sam", "psam"}
    assert at_zero["run"].nunique() == 2 * 3


def test_axes_keep_the_order_of_the_study(sample: Sample) -> None:
    curves = sample.collect(figure(columns="activation", lines="method"))
    assert curves.columns == [GELU, RELU]
    assert [line["name"] for line in curves.lines] == ["sam", "psam"]


def test_a_cell_of_two_experiments_counts_once(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for experiment in ("one", "two"):
        for seed in range(2):
            sample.add(0.5, experiment=experiment, seed=seed)
    points = sample.collect(figure(experiments=("one", "two"))).points
    assert points["n_seeds"].tolist() == [2]


def test_different_runs_on_one_point_are_an_error(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(0.5, activation=GELU)
    sample.add(0.5, activation=ABLATED)
    with pytest.raises(UserError, match="one point and seed"):
        sample.collect(figure())


def test_x_can_be_an_option_of_the_activation(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    for beta in (1.0, 1e3):
        for method, strength in (("sgd", 0.0), ("psam", 0.1)):
            sample.add(
                0.5,
                activation={"name": "beta_gelu", "beta": beta},
                method=method,
                strength=strength,
                axes={"beta": beta},
            )
    curves = sample.collect(figure(x="beta", lines="method", columns="activation"))
    assert curves.columns == [{"name": "beta_gelu"}]
    assert curves.points["x"].tolist() == [1.0, 1e3, 1.0, 1e3]
    assert not curves.has_baseline
    assert curves.points["change_mean"].isna().all()


def test_what_cannot_go_on_a_logarithmic_axis_is_an_error(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(0.5, axes={"beta": 0.0})
    with pytest.raises(UserError, match="logarithmic"):
        sample.collect(figure(x="beta"))
    with pytest.raises(UserError, match="must be a number"):
        sample.collect(figure(x="setup"))


def test_a_figure_needs_runs_above_zero(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(0.5, strength=0.0)
    with pytest.raises(UserError, match="no value of rho above 0"):
        sample.collect(figure())
    with pytest.raises(UserError, match="no runs"):
        sample.collect(figure(experiments=("none",)))


def test_runs_carry_both_evaluations_and_their_versions(sample: Sample) -> None:
    runs = sample.collect(figure(columns="activation", lines="method")).runs
    assert {"final_test_accuracy", "best_validation_test_accuracy", "jax", "code", "device", *PLACE} <= set(
        runs.columns
    )
    assert runs["jax"].unique().tolist() == ["0.10.2"]
    assert "wall_seconds" not in runs.columns
