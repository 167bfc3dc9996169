"""Measurements of runs of one shape share what they compile, and are what they are alone."""

from __future__ import annotations

from typing import Any

import pytest

from nmepkg import specs
from nmepkg.measurement import points
from nmepkg.measurement.points import _compiled, measure_points
from nmepkg.models.mlp import MLP
from nmepkg.registry import MEASUREMENTS
from nmepkg.study.canonical import canonical_measurement
from nmepkg.study.checks import check_entry
from tests.training.runs import dataset, make_spec

BETA = {"name": "beta_gelu", "second_derivative": None}
STEEP, FLAT = {**BETA, "beta": 100.0}, {**BETA, "beta": 1.0}


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    points._kept.clear()


def measurement(kind: str = "alignment", second_derivative: Any = None, **options: Any) -> specs.Measurement:
    spec = check_entry("measurement", {"kind": kind, "at": ["initial"], **options}, "", key="kind")
    return specs.measurement(canonical_measurement(spec, {"second_derivative": second_derivative}))


def measured(asked: specs.Measurement, **changes: Any) -> Any:
    def load(at: Any) -> Any:
        raise AssertionError(at)

    return measure_points(specs.recipe(make_spec(**changes)), asked, dataset(), load, lambda line: None)


@pytest.mark.parametrize("kind", sorted(MEASUREMENTS))
def test_the_second_run_of_a_shape_traces_nothing_and_is_what_it_is_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = []  # Python runs the model when it is traced, and only then

    def apply(self: MLP, *arguments: Any, **options: Any) -> Any:
        traced.append(arguments)
        return call(self, *arguments, **options)

    call = MLP.__call__
    monkeypatch.setattr(MLP, "__call__", apply)
    measured(measurement(kind), activation=FLAT)
    often = len(traced)
    assert often > 0
    second = measured(measurement(kind), activation=STEEP, seed=5)
    assert len(traced) == often
    points._kept.clear()
    assert second == measured(measurement(kind), activation=STEEP, seed=5)
    assert second[0][0]["values"] != measured(measurement(kind), activation=FLAT)[0][0]["values"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"width": 5}},
        {"activation": {"name": "relu", "second_derivative": None}},
        {"loss": {"label_smoothing": 0.1}},
        {"validation": {"fraction": 0.5}},
        {"training": {"batch_size": 4}},
    ],
    ids=str,
)
def test_another_run_has_its_own(changes: dict[str, Any]) -> None:
    first = _compiled(specs.recipe(make_spec()), measurement(), dataset())
    assert _compiled(specs.recipe(make_spec()), measurement(at=[1]), dataset()) is first
    assert _compiled(specs.recipe(make_spec(**changes)), measurement(), dataset()) is not first


@pytest.mark.parametrize(
    "other",
    [
        measurement("spectrum"),
        measurement(batch_norm="evaluate"),
        measurement(split="test"),
        measurement(examples=8),
        measurement(seed=1),
        measurement(second_derivative={"name": "zero"}),
    ],
    ids=repr,
)
def test_another_measurement_has_its_own(other: specs.Measurement) -> None:
    run = specs.recipe(make_spec())
    assert _compiled(run, other, dataset()) is not _compiled(run, measurement(), dataset())


def test_other_data_have_their_own() -> None:
    run = specs.recipe(make_spec())
    first = _compiled(run, measurement(), dataset())
    assert _compiled(run, measurement(), dataset()._replace(sha256="other")) is not first
