"""Penalties on tr G through labels drawn from the model, against literal differentiation and dense matrices."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg.methods.sampled_labels import gn_trace
from tests import cases
from tests.methods.test_methods import KEY, close, gradient, step
from tests.methods.test_trace_penalties import temporary

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
each_case = pytest.mark.parametrize(
    "name",
    [(model, "cross_entropy", "gelu") for model in cases.MODELS]
    + [
        ("mlp", "cross_entropy", "relu"),
        ("mlp", "smoothed", "relu_synthetic"),
        ("normalized", "cross_entropy", "gelu_ablated"),
    ],
    ids="-".join,
)


def drawn(case, key):
    """The labels of one draw, from one of the method's own keys."""
    return jax.random.categorical(key, case.logits(case.params))


@cases.of_case
def gradient_of_squared_norm(case, key, straight_through=False):
    """∇_θ B‖g‖² with labels that are drawn, and what they were drawn from added and taken away."""
    one_hot = jax.nn.one_hot(drawn(case, key), cases.CLASSES)

    def targets(z):
        p = jax.nn.softmax(z)
        return one_hot + p - jax.lax.stop_gradient(p) if straight_through else one_hot

    return cases.BATCH * jax.grad(squared_norm(case, targets))(cases.raveled(case.params))


def squared_norm(case, targets):
    """flat θ -> ‖∇_θ of the mean cross-entropy with targets(z) as probabilities‖², the targets constant inside ∇_θ."""
    _, unravel = ravel_pytree(case.params)

    def logits(theta):
        return case.logits(unravel(theta))

    def value(theta):
        fixed = targets(logits(theta))
        g = jax.grad(lambda t: -jnp.mean(jnp.sum(fixed * jax.nn.log_softmax(logits(t)), axis=1)))(theta)
        return jnp.sum(g**2)

    return value


def penalty(case, **options):
    return (cases.flat(step("gn_trace", case, 0.5, **options).direction) - gradient(case)) / 0.5


@each_case
@pytest.mark.parametrize("straight_through", [False, True])
def test_direction_is_the_literal_gradient(name, straight_through):
    case = cases.make(name)
    (key,) = jax.random.split(KEY, 1)
    expected = gradient_of_squared_norm(case, key, straight_through=straight_through)
    np.testing.assert_allclose(
        penalty(case, straight_through=straight_through), expected, rtol=1e-7, atol=1e-9, err_msg=str(name)
    )


def test_without_the_batch_it_is_the_bth_part_and_samples_are_averaged():
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    np.testing.assert_allclose(penalty(case, scale_by_batch=False), penalty(case) / cases.BATCH, **close)
    expected = [gradient_of_squared_norm(case, key) for key in jax.random.split(KEY, 3)]
    np.testing.assert_allclose(penalty(case, samples=3), np.mean(expected, axis=0), **close)


def expectation(case, value):
    """E_ŷ value(one-hot ŷ) over all C^B labellings of the batch, with their probabilities at θ: no sampling error."""
    p = np.asarray(jax.nn.softmax(case.logits(case.params)))
    labels = np.array(list(itertools.product(range(cases.CLASSES), repeat=cases.BATCH)))
    weights = np.prod(p[np.arange(cases.BATCH), labels], axis=1)
    values = jax.jit(jax.vmap(value))(jax.nn.one_hot(labels, cases.CLASSES, dtype=float))
    return np.tensordot(weights, np.asarray(values), axes=1)


@pytest.mark.parametrize("loss", ["cross_entropy", "smoothed"])
@pytest.mark.parametrize("model", ["mlp", "normalized"])
def test_the_penalty_is_an_unbiased_estimate_of_the_trace(model, loss):
    """E B‖g_ŷ‖² is tr G exactly, G that of the training loss, smoothed or not; BatchNorm or not."""
    case = cases.make((model, loss, "gelu"))
    theta = ravel_pytree(case.params)[0]
    mean = expectation(case, lambda labels: cases.BATCH * squared_norm(case, lambda z: labels)(theta))
    np.testing.assert_allclose(mean, np.trace(cases.dense_gauss_newton(case)), rtol=1e-10)


def test_draws_have_the_mean_and_their_spread_is_known():
    """The method's own draws of labels: within 4 standard errors of the exact mean, with the exact variance."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    theta = ravel_pytree(case.params)[0]

    def estimate(labels):
        return cases.BATCH * squared_norm(case, lambda z: labels)(theta)

    first, second = expectation(case, estimate), expectation(case, lambda labels: estimate(labels) ** 2)
    variance = second - first**2
    keys = jax.random.split(KEY, 4_000)
    values = np.asarray(
        jax.jit(jax.vmap(lambda key: estimate(jax.nn.one_hot(drawn(case, key), cases.CLASSES, dtype=float))))(keys)
    )
    assert abs(values.mean() - first) < 4 * np.sqrt(variance / len(values))
    np.testing.assert_allclose(values.var(), variance, rtol=0.15)


def test_constant_labels_leave_out_a_part_of_the_gradient_of_the_trace():
    """What the paper's choice costs, exactly: the mean direction is not the gradient of the penalty's mean."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    theta = ravel_pytree(case.params)[0]
    mean = expectation(case, lambda y: cases.BATCH * jax.grad(squared_norm(case, lambda z: y))(theta))
    exact = cases.gradient_of_trace(case, part="G")
    assert np.linalg.norm(mean - exact) > 0.02 * np.linalg.norm(exact)


def test_the_exact_sum_agrees_with_the_dense_trace_for_other_class_counts():
    case = cases.make(("attention", "cross_entropy", "gelu"))
    expected = gradient(case) + 0.5 * cases.gradient_of_trace(case, part="G")
    np.testing.assert_allclose(cases.flat(step("gn_trace_exact", case, 0.5).direction), expected, **close)


def test_an_impossible_class_gives_a_finite_exact_gradient():
    """A logit so low that its probability is 0 in floating point."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    *hidden, last = case.params
    low = case._replace(params=[*hidden, {**last, "bias": last["bias"].at[0].set(-1e4)}])
    assert np.isfinite(cases.flat(step("gn_trace_exact", low, 0.5).direction)).all()


def test_memory_does_not_grow_with_the_number_of_draws():
    """Beyond the second, whose sum with the first is one vector more."""
    assert temporary(gn_trace(samples=8)) < 1.05 * temporary(gn_trace(samples=2))
