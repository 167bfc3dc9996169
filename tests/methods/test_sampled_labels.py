"""Penalties on tr G through labels drawn from the model, against literal differentiation and dense matrices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import losses
from tests import cases
from tests.methods.test_methods import KEY, close, gradient, step

pytestmark = pytest.mark.usefixtures("x64")
each_case = pytest.mark.parametrize(
    "name",
    [(model, "cross_entropy", activation) for model in cases.MODELS for activation in ("gelu", "relu")]
    + [("mlp", "smoothed", "relu_synthetic"), ("normalized", "cross_entropy", "gelu_ablated")],
    ids="-".join,
)


def drawn(case, key):
    """The labels of one draw, from one of the method's own keys."""
    return jax.random.categorical(key, case.logits(case.params))


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
    one_hot = jax.nn.one_hot(drawn(case, key), cases.CLASSES)

    def targets(z):
        p = jax.nn.softmax(z)
        return one_hot + p - jax.lax.stop_gradient(p) if straight_through else one_hot

    theta = ravel_pytree(case.params)[0]
    expected = cases.BATCH * jax.grad(squared_norm(case, targets))(theta)
    np.testing.assert_allclose(
        penalty(case, straight_through=straight_through), expected, rtol=1e-7, atol=1e-9, err_msg=str(name)
    )


def test_without_the_batch_it_is_the_bth_part_and_samples_are_averaged():
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    np.testing.assert_allclose(penalty(case, scale_by_batch=False), penalty(case) / cases.BATCH, **close)
    theta = ravel_pytree(case.params)[0]
    expected = [
        cases.BATCH
        * jax.grad(squared_norm(case, lambda z, key=key: jax.nn.one_hot(drawn(case, key), cases.CLASSES)))(theta)
        for key in jax.random.split(KEY, 3)
    ]
    np.testing.assert_allclose(penalty(case, samples=3), np.mean(expected, axis=0), **close)


@pytest.mark.parametrize("loss", ["cross_entropy", "smoothed"])
@pytest.mark.parametrize("model", ["mlp", "normalized"])
def test_the_penalty_is_an_unbiased_estimate_of_the_trace(model, loss):
    """B‖g_ŷ‖² within 4 standard errors of tr G, G that of the training loss, smoothed or not; BatchNorm or not."""
    case = cases.make((model, loss, "gelu"))

    def estimate(key):
        g = jax.grad(lambda p: losses.cross_entropy(case.logits(p), drawn(case, key)))(case.params)
        return cases.BATCH * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(g))

    values = np.asarray(jax.jit(jax.vmap(estimate))(jax.random.split(KEY, 4_000)))
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - np.trace(cases.dense_gauss_newton(case))) < 4 * error


def test_constant_labels_leave_out_a_part_of_the_gradient_of_the_trace():
    """What the paper's choice costs: the mean direction is off by more than sampling explains."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    draw = jax.jit(jax.vmap(lambda key: step("gn_trace", case, 1.0, key).direction))
    directions = jax.vmap(cases.raveled)(draw(jax.random.split(KEY, 4_000)))
    expected = gradient(case) + cases.gradient_of_trace(case, "G")
    error = directions.std(axis=0, ddof=1) / np.sqrt(len(directions))
    assert np.abs((directions.mean(axis=0) - expected) / error).max() > 10


def test_the_exact_sum_agrees_with_the_dense_trace_for_other_class_counts():
    case = cases.make(("attention", "cross_entropy", "gelu"))
    expected = gradient(case) + 0.5 * cases.gradient_of_trace(case, "G")
    np.testing.assert_allclose(cases.flat(step("gn_trace_exact", case, 0.5).direction), expected, **close)


def test_an_impossible_class_gives_a_finite_exact_gradient():
    """A logit so low that its probability is 0 in floating point."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    *hidden, last = case.params
    low = case._replace(params=[*hidden, {**last, "bias": last["bias"].at[0].set(-1e4)}])
    assert np.isfinite(cases.flat(step("gn_trace_exact", low, 0.5).direction)).all()
