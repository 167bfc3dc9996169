"""Sharpness against closed forms of linear and quadratic losses, and a search of its own on a network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.measurement.sharpness import sharpness
from tests import cases
from tests.measurement import problems
from tests.measurement.problems import KEY

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")

RADII = [0.01, 0.3]
THETA = {"a": np.array([1.0, -2.0]), "b": np.array([0.5, 0.0, 3.0])}
LINEAR = dict(zip("gh", np.random.default_rng(2).normal(size=(2, 5)), strict=True))


def polynomial(losses):
    """The problem of one batch for each function of the flat θ."""
    problem, _ = problems.make(("linear", "mse", "relu"))
    return problem._replace(
        logits_fn=lambda params, context, inputs: jnp.stack(
            [loss(jnp.concatenate([params["a"], params["b"]])) for loss in losses]
        ),
        loss_fn=lambda logits, label: logits[label],
        batches=tuple((jnp.zeros((1, 1)), jnp.asarray(i)) for i in range(len(losses))),
    )


def measured(problem, params=THETA, radii=RADII, norm="l2", adaptive=False, steps=20, samples=4):
    measure = sharpness(problem, radii=radii, norm=norm, adaptive=adaptive, steps=steps, samples=samples)
    return measure(jax.tree.map(jnp.asarray, params), {}, KEY)


def linear(g):
    return lambda theta: jnp.dot(jnp.asarray(g), theta)


def quadratic(matrix, center):
    return lambda theta: jnp.dot(theta - center, jnp.dot(jnp.asarray(matrix), theta - center)) / 2


def symmetric(eigenvalues):
    q, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(5, 5)))
    return q * eigenvalues @ q.T


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_a_linear_loss_rises_by_the_dual_norm_in_one_step(norm, dual, adaptive):
    c = np.abs(cases.flat(THETA)) if adaptive else np.ones(5)
    for steps in (1, 5):
        result = measured(polynomial([linear(g) for g in LINEAR.values()]), norm=norm, adaptive=adaptive, steps=steps)
        each = np.outer([np.linalg.norm(c * g, dual) for g in LINEAR.values()], RADII)
        np.testing.assert_allclose(result["worst_case"], each.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(result["worst_case_se"], each.std(axis=0, ddof=1) / np.sqrt(2), rtol=1e-9)
    np.testing.assert_allclose(result["average"], 0, atol=1e-14)  # of every pair, as it is odd


def test_what_a_step_takes_together_rises_by_one_maximum():
    problem = polynomial([linear(g) for g in LINEAR.values()])._replace(together=2)
    result = measured(problem)
    np.testing.assert_allclose(
        result["worst_case"], np.linalg.norm(sum(LINEAR.values()) / 2) * np.array(RADII), rtol=1e-12
    )
    assert "worst_case_se" not in result


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_quadratic_at_its_minimum_rises_by_its_largest_eigenvalue(adaptive):
    """There the gradient is zero, exactly, and the first step a random one."""
    matrix, theta = symmetric([5.0, 2.0, 1.0, 0.5, 0.0]), cases.flat(THETA)
    result = measured(polynomial([quadratic(matrix, theta)]), adaptive=adaptive, steps=80)
    c = np.abs(theta) if adaptive else np.ones(5)
    largest = np.linalg.eigvalsh(c[:, None] * matrix * c)[-1]
    np.testing.assert_allclose(result["worst_case"], largest * np.square(RADII) / 2, rtol=1e-9)


def test_a_quadratic_at_its_minimum_rises_most_in_a_corner_of_the_cube():
    """Of one steep direction; with several, a corner may be a maximum that is not the highest."""
    v = np.array([1.0, -0.7, 0.5, 2.0, -1.5])
    matrix = np.outer(v, v) + 0.1 * np.eye(5)
    result = measured(polynomial([quadratic(matrix, cases.flat(THETA))]), norm="linf")
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 5), axis=-1).reshape(-1, 5)
    highest = max(corner @ matrix @ corner for corner in corners) / 2
    np.testing.assert_allclose(result["worst_case"], highest * np.square(RADII), rtol=1e-9)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_where_nothing_rises_the_worst_case_is_zero(norm):
    problem = polynomial([quadratic(-symmetric([5.0, 2.0, 1.0, 0.5, 0.1]), cases.flat(THETA))])
    assert measured(problem, norm=norm)["worst_case"] == [0.0, 0.0]


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(("norm", "variance"), [("l2", 1.0), ("linf", 1 / 3)])
def test_the_average_of_a_quadratic_is_half_the_trace(norm, variance, adaptive):
    matrix, theta = symmetric([5.0, 2.0, 1.0, -0.5, 0.0]), cases.flat(THETA)
    problem = polynomial([quadratic(matrix, theta + 1.0), linear(LINEAR["g"])])  # the mean of both
    result = measured(problem, norm=norm, adaptive=adaptive, samples=200, steps=1)
    c = np.abs(theta) if adaptive else np.ones(5)
    expected = variance * np.square(RADII) * np.sum(np.diag(matrix) * c**2) / 4
    assert (np.abs(result["average"] - expected) < 4 * np.array(result["average_se"])).all()
    assert (np.array(result["average_se"]) < 0.2 * expected).all()
    if norm == "l2":  # the variance of a quadratic form of a normal vector is 2‖A‖²
        deviation = np.square(RADII) / 4 * np.sqrt(2) * np.linalg.norm(c[:, None] * matrix * c)
        np.testing.assert_allclose(result["average_se"], deviation / np.sqrt(200), rtol=0.3)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_network_rises_as_far_as_any_of_many_starts_finds(norm):
    """Against plain ascent with short steps, from the centre and from random places, in NumPy's loop."""
    radius = 0.2
    case = cases.shallow()
    problem = problems.make(("mlp", "cross_entropy", "gelu"))[0]._replace(
        logits_fn=lambda params, context, inputs: case.logits_fn(params, inputs)[0], batches=(case.batch,)
    )
    theta, unravel = jax.flatten_util.ravel_pytree(case.params)
    climb = jax.jit(jax.value_and_grad(lambda t: case.loss(case.logits(unravel(t)))))
    rng, highest = np.random.default_rng(0), -np.inf
    for start in [np.zeros(theta.size), *rng.normal(size=(4, theta.size))]:
        u = start / max(1, np.linalg.norm(start))
        for _ in range(150):
            loss, slope = climb(theta + radius * u)
            highest = max(highest, float(loss))
            if norm == "l2":
                u = u + 0.3 * slope / np.linalg.norm(slope)
                u = u / max(1, np.linalg.norm(u))
            else:
                u = np.clip(u + 0.1 * np.sign(slope), -1, 1)
    rise = highest - float(climb(theta)[0])
    found = [measured(problem, case.params, [radius], norm, steps=steps)["worst_case"][0] for steps in (1, 5, 20)]
    assert 0 < found[0] <= found[1] <= found[2]
    assert found[2] == pytest.approx(rise, rel=2e-3)
    sam = climb(theta + radius * (climb(theta)[1] / np.linalg.norm(climb(theta)[1])))[0] - climb(theta)[0]
    if norm == "l2":
        assert found[0] == pytest.approx(float(sam), rel=1e-9)


def test_a_diverged_model_has_values_that_are_not_numbers():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    result = measured(problem, jax.tree.map(lambda x: x * np.nan, case.params), steps=2)
    assert np.isnan([*result["worst_case"], *result["average"]]).all()
