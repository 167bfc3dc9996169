"""PSAM with the part of N alone that comes through φ'', whose model gives its logits with φ'' and with φ'' := 0."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.registry import METHODS
from tests import cases
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
close = {"rtol": 1e-8, "atol": 1e-10}
KEY = jax.random.key(0)
ACTIVATIONS = ["gelu", "softplus", "relu_synthetic", "relu"]


def ablated(name):
    """The case's own network with φ'' := 0."""
    phi = activations.replace_second_derivative(cases.ACTIVATIONS[name[2]], activations.zero)
    _, apply = cases.MODELS[name[0]](np.random.default_rng(0), phi)
    return lambda params, inputs: (apply(params, inputs), {})


def pair(name):
    """(model of both logits, loss of the first ones) of a case."""
    case, other = cases.make(name), ablated(name)

    def both(params, inputs):
        logits, state = case.logits_fn(params, inputs)
        return (logits, other(params, inputs)[0]), state

    return both, lambda logits, labels: case.loss_fn(logits[0], labels)


def step(name, rho, params=None, batch=None, **options):
    case = cases.make(name)
    made = METHODS["psam_activation_nme"].load()(**options)
    model, loss = pair(name)

    def direction(params, batch):
        update = made(model, loss, params, batch, KEY, rho)
        return update.direction, update.loss

    return interpreted(direction)(case.params if params is None else params, case.batch if batch is None else batch)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("model", ["mlp", "normalized", "attention"])
def test_direction_is_the_dense_one(model, activation):
    name = (model, "cross_entropy", activation)
    case = cases.make(name)
    g = cases.gradient(case)
    part = cases.dense_nme(case) - cases.dense_nme(case._replace(logits_fn=ablated(name)))
    direction, loss = step(name, 0.3)
    np.testing.assert_allclose(cases.flat(direction), g + 0.3 * part @ g / np.linalg.norm(g), **close)
    np.testing.assert_allclose(loss, case.loss(case.logits(case.params)), rtol=1e-12)
    assert (np.abs(part).max() > 1e-3) == (activation != "relu")


def test_with_the_rest_of_n_it_is_psam_with_n_alone():
    name = ("normalized", "mse", "gelu")
    case = cases.make(name)
    nme = METHODS["psam_nme"].load()()
    whole, rest = (
        interpreted(lambda p, fn=fn: nme(fn, case.loss_fn, p, case.batch, KEY, 0.3).direction)(case.params)
        for fn in (case.logits_fn, ablated(name))
    )
    part, _ = step(name, 0.3)
    g = cases.gradient(case)
    np.testing.assert_allclose(cases.flat(part) + cases.flat(rest) - g, cases.flat(whole), **close)


def test_strength_zero_is_the_gradient_and_a_zero_gradient_stays_finite():
    name = ("mlp", "mse", "gelu")
    case = cases.make(name)
    np.testing.assert_array_equal(cases.flat(step(name, 0.0)[0]), cases.gradient(case))
    perfect = case.batch[0], case.logits(case.params)
    assert np.abs(cases.flat(step(name, 0.3, batch=perfect)[0])).max() < 1e-15


def test_groups_have_a_part_each():
    name = ("mlp", "cross_entropy", "gelu")
    case = cases.make(name)
    halves = [jax.tree.map(lambda x, i=i: x[i : i + 3], case.batch) for i in (0, 3)]
    expected = np.mean([cases.flat(step(name, 0.3, batch=half)[0]) for half in halves], axis=0)
    np.testing.assert_allclose(cases.flat(step(name, 0.3, m=3)[0]), expected, **close)
    assert jnp.ndim(step(name, 0.3, m=3)[1]) == 0
