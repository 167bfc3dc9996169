"""Losses along directions against those of dense matrices, evaluated apart."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg.measurement.loss_along import loss_along
from tests import cases
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")

RADII = [-0.5, 0.0, 0.001, 2.0]


def measured(problem, params, radii=RADII):
    return loss_along(problem, radii=radii, steps=10, tolerance=1e-8)(params, {}, problems.KEY)


@pytest.mark.parametrize("name", [("mlp", "cross_entropy", "gelu"), ("normalized", "mse", "gelu")], ids="-".join)
def test_every_direction(name):
    problem, batch_cases = problems.make(name, 2)
    result = measured(problem, batch_cases[0].params)
    theta, unravel = ravel_pytree(batch_cases[0].params)

    def loss(t):
        return np.mean([case.loss(case.logits(unravel(t))) for case in batch_cases])

    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    g = g / np.linalg.norm(g)
    directions = {"g": g}
    for part in "HN":
        product = problems.dense(part, name, 2) @ g
        directions[part] = product / np.linalg.norm(product)
    for part in "HG":
        values, vectors = np.linalg.eigh(problems.dense(part, name, 2))
        directions[f"top_{part}"] = vectors[:, -1] * np.sign(vectors[:, -1] @ g)
        assert result[f"eigenvalue_{part}"] == pytest.approx(values[-1], rel=1e-9)
    assert result["loss"] == pytest.approx(loss(theta), rel=1e-12)
    for direction, d in directions.items():
        expected = [loss(theta + radius * d) - loss(theta) for radius in RADII]
        np.testing.assert_allclose(result[f"loss_along_{direction}"], expected, rtol=1e-5, atol=1e-9, err_msg=direction)
        assert result[f"loss_along_{direction}"][1] == 0
    assert result["loss_along_top_H"][2] > 0


def test_a_small_radius_shows_slope_and_curvature():
    name = ("mlp", "cross_entropy", "tanh")
    problem, (case,) = problems.make(name)
    step = 1e-3
    result = measured(problem, case.params, [-step, step])
    g = cases.gradient(case)
    unit = g / np.linalg.norm(g)
    below, above = result["loss_along_g"]
    assert (above - below) / (2 * step) == pytest.approx(np.linalg.norm(g), rel=1e-4)
    assert (above + below) / step**2 == pytest.approx(unit @ problems.dense("H", name) @ unit, rel=1e-4)
    below, above = result["loss_along_top_H"]
    assert (above + below) / step**2 == pytest.approx(result["eigenvalue_H"], rel=1e-3)


def test_without_a_direction_the_loss_stays():
    problem, (case,) = problems.make(("linear", "cross_entropy", "relu"))
    result = measured(problem, case.params)
    assert result["loss_along_N"] == [0.0] * len(RADII)
    assert result["loss_along_H"][0] < 0


def test_a_diverged_model_has_values_that_are_not_numbers():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    result = measured(problem, jax.tree.map(lambda x: x * np.nan, case.params))
    assert np.isnan([result[f"loss_along_{direction}"] for direction in ("g", "H", "N", "top_H", "top_G")]).all()
