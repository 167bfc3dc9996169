"""Dead units against inputs made by hand, and a closed form of φ'."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from nmepkg import activations
from nmepkg.measurement.dead_units import dead_units
from tests.measurement import problems
from tests.measurement.problems import KEY

pytestmark = pytest.mark.usefixtures("x64")


def measured(batches, phi):
    """Values for two calls of φ: with the inputs of each batch, and with their negatives."""
    problem = problems.make(("linear", "mse", "relu"))[0]._replace(
        preactivations_fn=lambda params, context, x: [params * x, -params * x],
        activation=lambda context, x: phi(x),
        batches=tuple((jnp.asarray(x), jnp.zeros(len(x))) for x in batches),
    )
    return dead_units(problem)(jnp.asarray(1.0), {}, KEY)


def test_a_unit_is_dead_where_every_example_of_every_batch_is_on_the_flat_side():
    """Units by their inputs: all below 0; above 0 once, in the second batch; all above 0; at 0, where a ReLU's slope is 0."""
    first = np.array([[-1.0, -2.0, 3.0, 0.0], [-3.0, -1.0, 0.5, 0.0]])
    second = np.array([[-0.1, 1.0, 2.0, 0.0], [-5.0, -1.0, 9.0, 0.0]])
    result = measured([first, second], activations.relu)
    assert result["layers"] == [
        {"fraction_dead": 2 / 4, "fraction_flat": (4 + 3 + 0 + 4) / 16, "count": 4},
        {"fraction_dead": 2 / 4, "fraction_flat": (0 + 1 + 4 + 4) / 16, "count": 4},
    ]
    assert (result["fraction_dead"], result["fraction_flat"], result["count"]) == (4 / 8, 20 / 32, 8)
    assert measured([first], activations.relu)["layers"][0]["fraction_dead"] == 3 / 4


def test_a_unit_of_a_convolution_is_a_channel():
    """It is dead only if it is at every position, and all channels of a layer count the same."""
    images = -np.ones((2, 3, 3, 5))
    images[1, 2, 0, 4] = 1
    first, second = measured([images], activations.relu)["layers"]
    assert (first["fraction_dead"], first["count"]) == (4 / 5, 5)
    assert first["fraction_flat"] == 89 / 90
    assert second["fraction_dead"] == 0


def test_a_gelu_is_flat_where_its_slope_is_a_millionth_of_the_largest():
    """φ' = Φ(x) + x φ_N(x), with its maximum at √2. It is 0 at one place, near −0.75, that no unit stays at."""
    largest = norm.cdf(np.sqrt(2)) + np.sqrt(2) * norm.pdf(np.sqrt(2))
    x = np.linspace(-5.6, -5.2, 401)[None]
    flat = np.abs(norm.cdf(x) + x * norm.pdf(x)) <= 1e-6 * largest
    assert 0 < flat.mean() < 1
    first, second = measured([x], activations.gelu)["layers"]
    assert first["fraction_dead"] == first["fraction_flat"] == flat.mean()
    assert second["fraction_dead"] == 0


def test_the_slope_stays_where_the_second_derivative_is_replaced():
    x = np.random.default_rng(0).normal(size=(3, 40)) - 1
    replaced = activations.replace_second_derivative(activations.relu, activations.gaussian)
    assert measured([x], replaced) == measured([x], activations.relu)
    assert 0 < measured([x], replaced)["layers"][0]["fraction_dead"] < 1


def test_a_diverged_model_and_one_without_activations_have_no_fractions():
    result = measured([np.array([[1.0, -1.0, np.inf]])], activations.relu)
    assert np.isnan([result["fraction_dead"], result["layers"][0]["fraction_flat"]]).all()
    assert np.isnan(measured([np.zeros((0, 3))], activations.relu)["fraction_dead"])
    problem, _ = problems.make(("linear", "mse", "relu"))
    result = dead_units(problem)(jnp.asarray(1.0), {}, KEY)
    assert np.isnan(result["fraction_dead"])
    assert result["layers"] == []
