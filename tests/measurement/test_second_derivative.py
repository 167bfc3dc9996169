"""Fractions of activation inputs against NumPy, closed forms of φ'' and inputs made by hand."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.measurement.problem import Problem
from nmepkg.measurement.second_derivative import second_derivative
from tests.measurement.problems import KEY

pytestmark = pytest.mark.usefixtures("x64")


def measured(batches, phi, threshold=0.01, relative=True, context=None):
    """Values for activation inputs that are, for each batch, the inputs and twice their first two columns."""
    problem = Problem(
        logits_fn=lambda params, context, x: x,
        ablated_logits_fn=lambda params, context, x: x,
        preactivations_fn=lambda params, context, x: [params * x, params * 2 * x[:, :2]],
        activation=phi if context is not None else lambda context, x: phi(x),
        loss_fn=lambda logits, labels: jnp.zeros(()),
        batches=tuple((jnp.asarray(x), jnp.zeros(len(x))) for x in batches),
    )
    return second_derivative(problem, threshold=threshold, relative=relative)(jnp.asarray(1.0), context, KEY)


def by_hand(batches, second, bound):
    """The same fractions from φ'' in closed form, layer by layer."""
    xs = [np.concatenate([x.ravel() for x in batches]), np.concatenate([2 * x[:, :2].ravel() for x in batches])]
    return [np.mean(np.abs(second(x)) > bound) for x in [np.concatenate(xs), *xs]]


@pytest.mark.parametrize("beta", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("relative", [True, False])
def test_beta_gelu(beta, relative):
    batches = list(np.random.default_rng(0).normal(size=(2, 50, 4)) * 3 / beta)

    def second(x):
        return beta * np.exp(-((beta * x) ** 2) / 2) / np.sqrt(2 * np.pi) * (2 - (beta * x) ** 2)

    result = measured(batches, lambda beta, x: activations.beta_gelu(x, beta), 0.1, relative, jnp.asarray(beta))
    expected = by_hand(batches, second, 0.1 * second(0.0) if relative else 0.1)
    assert [result["fraction_above"], *(layer["fraction_above"] for layer in result["layers"])] == expected
    assert 0 < expected[0] < 1
    assert result["sup"] == pytest.approx(2 * beta / np.sqrt(2 * np.pi), rel=1e-12)
    assert [layer["count"] for layer in result["layers"]] == [400, 200]
    assert result["count"] == 600


def test_the_supremum_is_found_away_from_zero():
    """|tanh''| = 2 tanh sech² is largest where tanh² = 1/3."""
    assert measured([np.zeros((1, 3))], activations.tanh)["sup"] == pytest.approx(4 / 3**1.5, rel=1e-6)


def test_zero_in_the_working_precision_is_zero():
    """In double precision a GELU's φ'' underflows beyond |x| = 38, in single precision beyond 13."""
    x = np.array([[0.0, 37.0, -39.0, 50.0]])
    result = measured([x], activations.gelu, threshold=1e-3)
    assert [layer["fraction_zero"] for layer in result["layers"]] == [0.5, 0.5]
    assert [layer["fraction_above"] for layer in result["layers"]] == [0.25, 0.5]
    single = measured([x.astype(np.float32)], activations.gelu)
    assert single["layers"][0]["fraction_zero"] == 0.75


@pytest.mark.parametrize("phi", [activations.relu, activations.leaky_relu])
@pytest.mark.parametrize("relative", [True, False])
def test_piecewise_linear_activations_have_none(phi, relative):
    result = measured([np.linspace(-1, 1, 15).reshape(5, 3)], phi, relative=relative)
    assert (result["fraction_above"], result["fraction_zero"], result["sup"]) == (0, 1, 0)


def test_a_second_derivative_that_is_replaced_is_the_substitute():
    x = np.linspace(-1, 1, 40).reshape(10, 4)
    phi = activations.replace_second_derivative(activations.relu, partial(activations.gaussian, beta=5.0))
    result = measured([x], phi, 0.5)
    expected = by_hand([x], lambda x: np.exp(-((5 * x) ** 2) / 2), 0.5)
    assert [result["fraction_above"], *(layer["fraction_above"] for layer in result["layers"])] == expected
    removed = activations.replace_second_derivative(activations.gelu, activations.zero)
    assert measured([x], removed)["fraction_above"] == 0


def test_fractions_of_nothing_and_of_a_diverged_model_are_not_numbers():
    result = measured([np.array([[1.0, 1.0, np.inf]])], activations.gelu)
    assert np.isnan([result["fraction_above"], result["layers"][0]["fraction_zero"]]).all()
    assert result["layers"][1]["fraction_above"] == 1
    assert np.isnan(measured([np.zeros((0, 3))], activations.gelu)["fraction_above"])
