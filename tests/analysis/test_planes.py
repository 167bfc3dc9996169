"""The planes of a figure: which ones, where, and their tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.analysis.tables import plane_tables
from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.study.spec import Figure
from tests.analysis.samples import GELU, PLANE, RELU, Sample, figure, plane
from tests.analysis.study import prepare

SPEC = {**PLANE, "at": ["initial", "final"]}


def drawn(**changes: Any) -> Figure:
    return figure(**{"kind": "plane", "measurement": "loss_plane", "x": "", "columns": "activation", **changes})


def sample(folder: Path, **more: Any) -> Sample:
    found = Sample(folder)
    for steep, activation in ((30.0, GELU), (300.0, RELU)):
        measured = {"initial": plane(SPEC, 1.0), "final": plane(SPEC, steep)}
        found.add(0.5, activation=activation, strength=0, measured=measured, measurement=SPEC, **more)
    return found


def test_planes_are_placed_as_read(tmp_path: Path) -> None:
    planes = sample(tmp_path).planes(drawn(rows="at"))
    assert planes.rows == ["initial", "final"]
    assert [activation["name"] for activation in planes.columns] == ["gelu", "relu"]
    assert [(one.row, one.column) for one in planes.planes] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    steepest = planes.planes[3]
    np.testing.assert_array_equal(steepest.loss, plane(SPEC, 300.0)["loss_plane"])
    np.testing.assert_array_equal(steepest.accuracy, plane(SPEC, 300.0)["accuracy_plane"])
    np.testing.assert_array_equal(steepest.coordinates, [-1, -0.5, 0, 0.5, 1])


def test_tables_have_a_row_a_point_and_a_row_a_plane(tmp_path: Path) -> None:
    points, runs = plane_tables(sample(tmp_path, seed=3).planes(drawn(rows="at")))
    assert len(points) == 2 * 2 * 25
    there = points[
        (points["activation"] == "relu") & (points["at"] == "final") & (points["a"] == 0.5) & (points["b"] == 1)
    ]
    (row,) = there.to_dict("records")
    assert row["loss"] == 0.05 + (300 * 0.25 + 8) / 2
    assert (row["seed"], row["step"], row["setup"], row["method"]) == (3, 600, "mlp", "psam")
    assert runs["eigenvalue_u"].tolist() == [1.0, 30.0, 1.0, 300.0]
    assert runs["directions"].unique().tolist() == ["top_H"]
    assert runs["loss"].tolist() == [0.05] * 4
    assert not any(
        str(name).startswith("_") or name in ("row", "column", "quantity", "se") for name in (*points, *runs)
    )


@pytest.mark.parametrize(("values", "status"), [(None, "not_finite"), ("not_reached", "not_reached")])
def test_a_plane_that_was_not_measured_says_why(values: Any, status: str, tmp_path: Path) -> None:
    found = Sample(tmp_path)
    found.add(None, strength=0, measured={"final": values}, measurement=PLANE)
    (one,) = (planes := found.planes(drawn())).planes
    assert (one.status, one.loss.size, one.coordinates.size) == (status, 0, 0)
    points, runs = plane_tables(planes)
    assert len(points) == 0
    assert {"a", "b", "loss", "accuracy"} <= set(points)
    assert runs[["status", "run_status", "diverged_step"]].values.tolist() == [[status, "diverged", 7]]
    assert runs["loss"].isna().all()


def test_points_without_a_number_are_empty(tmp_path: Path) -> None:
    values = plane(PLANE)
    values["loss_plane"][0][:2] = [None, None]
    found = Sample(tmp_path)
    found.add(0.5, strength=0, measured={"final": values}, measurement=PLANE)
    (one,) = found.planes(drawn()).planes
    assert np.isnan(one.loss[0, :2]).all()
    assert np.isfinite(one.loss).sum() == 23


def test_a_run_of_two_experiments_is_drawn_once_and_two_runs_on_a_panel_are_refused(tmp_path: Path) -> None:
    found = sample(tmp_path)
    found.add(
        0.5, experiment="again", strength=0, measured={"initial": plane(SPEC), "final": plane(SPEC)}, measurement=SPEC
    )
    assert len(found.planes(drawn(rows="at", experiments=("experiment", "again"))).planes) == 4
    found.add(0.5, setup="other", strength=0, measured={"initial": plane(SPEC), "final": plane(SPEC)}, measurement=SPEC)
    with pytest.raises(
        UserError, match=r"runs .* and .* fall on one panel; give what they differ in to rows or columns"
    ):
        found.planes(drawn(rows="at"))


def test_a_measurement_without_a_plane_is_refused(tmp_path: Path) -> None:
    found = Sample(tmp_path)
    found.add(0.5, strength=0, measured={"final": {"loss_plane": [[1.0]]}}, measurement=PLANE)
    with pytest.raises(UserError, match=r"\.json: .*without 'coordinates'"):
        found.planes(drawn())


def test_a_figure_needs_the_first_seed_of_each_experiment_alone(tmp_path: Path) -> None:
    prepare(tmp_path)
    study = load(tmp_path / "study.yaml")
    expansion = expand(study)
    shown = study.figures["around"]
    assert [cell.seed for cell in expansion.cells_of(shown)] == [0]
    assert len(expansion.measurements_of(shown)) == len(expansion.runs_of(shown)) == 1
    assert len([job for job in expansion.measurements.values() if job.spec["kind"] == "loss_plane"]) == 2
