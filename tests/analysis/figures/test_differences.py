"""Paired differences against a table computed another way."""

import math
from pathlib import Path

import numpy as np
import pytest

from nmepkg.analysis.curves import Curves
from nmepkg.analysis.figures.differences import find_differences
from nmepkg.analysis.statistics import paired_difference
from tests.analysis.samples import RELU, figure, grid

RHO = (0.0, 0.01, 0.1)


def _accuracy(setup, method, activation, rho, seed):
    """Seeds differ far more than methods; one of PSAM's diverges at the largest ρ, one of SAM's at the other."""
    if (method, rho, seed) in {("psam", 0.1, 2), ("sam", 0.01, 0)}:
        return None
    return 0.5 + 0.1 * seed + (0.02 + 0.001 * seed) * (method == "psam") * (rho > 0) + rho


def _curves(store: Path, differences: str) -> Curves:
    sample = grid(store, _accuracy, activations=(RELU,), rho=RHO, seeds=4)
    return sample.collect(figure(lines="method", differences=differences))


def _by_seed(method: str, rho: float) -> dict[int, float]:
    values = {seed: _accuracy("mlp", method, RELU, rho, seed) for seed in range(4)}
    return {seed: value for seed, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ("first_line", [(1, rho, ("psam", rho), ("sam", rho)) for rho in RHO[1:]]),
        (
            "strength_0",
            [(line, rho, (m, rho), (m, 0.0)) for line, m in enumerate(("sam", "psam")) for rho in RHO[1:]],
        ),
    ],
)
def test_differences_are_those_of_statistics(differences: str, expected: list, tmp_path: Path) -> None:
    found = find_differences(_curves(tmp_path, differences))
    assert len(found.points) == len(expected)
    for (_, point), (line, x, one, other) in zip(found.points.iterrows(), expected, strict=True):
        estimate = paired_difference(_by_seed(*one), _by_seed(*other))
        assert (point["line"], point["x"], point["n_seeds"]) == (line, x, estimate.n)
        assert point["n_diverged"] == 4 - estimate.n
        np.testing.assert_allclose(point[["mean", "ci_low", "ci_high"]].astype(float), estimate[1:])


def test_what_seeds_share_is_taken_out(tmp_path: Path) -> None:
    found = find_differences(_curves(tmp_path, "first_line"))
    point = found.points[found.points["x"] == 0.01].iloc[0]
    assert point["ci_low"] > 0
    assert np.isnan(found.runs["_y"]).sum() == 2


def test_without_a_partner_there_is_no_difference(tmp_path: Path) -> None:
    sample = grid(tmp_path, _accuracy, methods=("psam",), activations=(RELU,), rho=(0.01, 0.1))
    found = find_differences(sample.collect(figure(lines="method", differences="first_line")))
    assert found.points.empty
    assert {"n_seeds", "mean", "ci_low"} <= set(found.points)


def test_on_a_logarithmic_axis_they_are_ratios(tmp_path: Path) -> None:
    sample = grid(tmp_path, _accuracy, activations=(RELU,), rho=RHO, seeds=4)
    found = find_differences(sample.collect(figure(lines="method", differences="first_line", y_scale="log")))
    assert found.ratios
    for _, point in found.points.iterrows():
        one, other = _by_seed("psam", point["x"]), _by_seed("sam", point["x"])
        estimate = paired_difference(*({seed: math.log(y) for seed, y in side.items()} for side in (one, other)))
        np.testing.assert_allclose(point[["mean", "ci_low", "ci_high"]].astype(float), np.exp(estimate[1:]))
    run = found.runs[(found.runs["x"] == 0.01) & (found.runs["seed"] == 1)].iloc[0]
    assert run["_y"] == pytest.approx(_by_seed("psam", 0.01)[1] / _by_seed("sam", 0.01)[1])


def test_what_has_no_logarithm_has_no_ratio(tmp_path: Path) -> None:
    sample = grid(tmp_path, lambda setup, method, *_: float(method == "sam"), activations=(RELU,), rho=RHO, seeds=2)
    found = find_differences(sample.collect(figure(lines="method", differences="first_line", y_scale="log")))
    assert found.points["n_seeds"].eq(0).all()
    assert found.runs["_y"].isna().all()
