"""Penalties on tr H, tr G and tr N by Hutchinson's estimate, against dense matrices as functions of the parameters."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations, losses
from nmepkg.curvature import probes
from nmepkg.errors import UserError
from nmepkg.methods import gn_trace, gn_trace_hutchinson, hessian_trace, nme_trace
from nmepkg.methods.limits import MOST_PARAMETERS
from nmepkg.methods.parts import Execution, add_mean_of_draws
from nmepkg.methods.trace_penalties import sum_over_basis
from tests import cases
from tests.methods.test_methods import KEY, close, each_case, gradient, step

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
PARTS = {"hessian_trace": "H", "gn_trace_hutchinson": "G", "nme_trace": "N"}
# Where each case's direction is checked as it is drawn, what is made of several draws is checked on a few.
few_cases = pytest.mark.parametrize(
    "name",
    [
        (model, "cross_entropy", phi)
        for model, phi in (("linear", "gelu"), ("normalized", "relu"), ("attention", "gelu"))
    ],
    ids="-".join,
)


def penalty(method, case, **options):
    """∇ of the estimated trace, alone."""
    return (cases.flat(step(method, case, 0.5, **options).direction) - gradient(case)) / 0.5


@each_case
def test_direction_is_the_gradient_of_the_dense_form(name):
    """With the probe that the method draws; H, G and N are differentiated as whole functions of θ, residual included."""
    case = cases.make(name)
    v = probes.draw(jax.random.split(KEY, 1)[0], case.params, "gaussian")
    for method, part in PARTS.items():
        expected = cases.gradient_of_form(case, v, part=part)
        np.testing.assert_allclose(penalty(method, case), expected, rtol=1e-7, atol=1e-9, err_msg=method)


@few_cases
def test_the_penalty_on_h_is_that_on_g_and_that_on_n(name):
    case = cases.make(name)
    h, g, n = (penalty(method, case, samples=2, probe="rademacher") for method in PARTS)
    np.testing.assert_allclose(h, g + n, rtol=1e-8, atol=1e-10)
    if name[0] == "linear":
        np.testing.assert_array_equal(n, 0)
    else:
        assert np.abs(n).max() > 1e-4


@pytest.mark.parametrize(
    ("method", "probe"),
    [("hessian_trace", "gaussian"), ("gn_trace_hutchinson", "rademacher"), ("nme_trace", "rademacher")],
)
def test_samples_are_single_probes_averaged(method, probe):
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    keys = jax.random.split(KEY, 3)
    expected = np.mean(
        [cases.gradient_of_form(case, probes.draw(key, case.params, probe), part=PARTS[method]) for key in keys], axis=0
    )
    np.testing.assert_allclose(penalty(method, case, samples=3, probe=probe), expected, **close)


def test_the_mean_direction_is_the_gradient_of_the_trace():
    """Within 4 standard errors, in every entry, over 4,000 probes, which are drawn alike for H, G and N."""
    method, case = "hessian_trace", cases.make(("mlp", "cross_entropy", "gelu"))
    draw = jax.jit(jax.vmap(lambda key: step(method, case, 1.0, key).direction))
    directions = jax.vmap(cases.raveled)(draw(jax.random.split(KEY, 4_000)))
    expected = gradient(case) + cases.gradient_of_trace(case, part=PARTS[method])
    error = directions.std(axis=0, ddof=1) / np.sqrt(len(directions))
    assert np.abs((directions.mean(axis=0) - expected) / error).max() < 4.5  # the largest of 51


def test_relu_has_no_diagonal_nme_so_the_traces_of_h_and_g_are_one():
    case = cases.make(("mlp", "cross_entropy", "relu"))
    np.testing.assert_allclose(cases.gradient_of_trace(case, part="N"), 0, atol=1e-12)
    np.testing.assert_allclose(
        cases.gradient_of_trace(case, part="H"), cases.gradient_of_trace(case, part="G"), **close
    )
    assert np.abs(penalty("nme_trace", case)).max() > 1e-3  # of one probe: N is not zero, only its diagonal is


def test_the_trace_of_n_may_be_penalised_with_either_sign():
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    v = probes.draw(jax.random.split(KEY, 1)[0], case.params, "gaussian")
    expected = cases.gradient_of_form(case, v, part="N")
    for sign in (1, -1):
        np.testing.assert_allclose(penalty("nme_trace", case, sign=sign), sign * expected, rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="1 or -1, not 2"):
        step("nme_trace", case, 0.1, sign=2)


@few_cases
def test_a_sum_over_the_basis_is_the_trace_itself(name):
    case = cases.make(name)
    for method, part in PARTS.items():
        expected = cases.gradient_of_trace(case, part=part)
        np.testing.assert_allclose(penalty(method, case, probe="basis"), expected, rtol=1e-7, atol=1e-9, err_msg=method)


def test_a_sum_over_the_basis_draws_nothing_and_in_groups_it_is_that_of_each():
    method = "gn_trace_hutchinson"
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    one, other = (cases.flat(step(method, case, 0.3, key, probe="basis").direction) for key in jax.random.split(KEY))
    np.testing.assert_array_equal(one, other)
    parts = [case._replace(batch=(case.batch[0][i : i + 3], case.batch[1][i : i + 3])) for i in (0, 3)]
    expected = np.mean([gradient(part) + 0.3 * cases.gradient_of_trace(part, part=PARTS[method]) for part in parts], 0)
    np.testing.assert_allclose(cases.flat(step(method, case, 0.3, probe="basis", m=3).direction), expected, **close)


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_chunks_of_the_basis(chunk):
    """Σ_i (e_i · a) e_i = a, of leaves of several shapes and types."""
    a = {"w": jnp.arange(6.0).reshape(2, 3), "none": jnp.zeros((0, 2)), "b": jnp.asarray(7.0, jnp.float64)}
    found = sum_over_basis(lambda v: jax.tree.map(jnp.multiply, v, a), a, chunk)
    jax.tree.map(np.testing.assert_array_equal, found, a)


def test_a_sum_over_the_basis_is_refused_for_samples_and_for_many_parameters():
    with pytest.raises(ValueError, match="samples must be 1, not 2"):
        hessian_trace(samples=2, probe="basis")
    with pytest.raises(UserError, match=f"{MOST_PARAMETERS} at most, and this one has {MOST_PARAMETERS + 1}"):
        sum_over_basis(lambda v: v, jnp.zeros(MOST_PARAMETERS + 1))


@pytest.mark.parametrize("samples", [0, -1])
def test_fewer_than_one_sample_is_refused(samples):
    with pytest.raises(ValueError, match=f"number of samples must be at least 1, not {samples}"):
        add_mean_of_draws(jnp.zeros(1), 1.0, lambda params, key: params, jnp.zeros(1), KEY, samples)


@pytest.mark.parametrize("method", [*PARTS, "gn_trace"])
def test_samples_in_a_loop_are_those_that_are_written_out(method):
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    written, looped = (penalty(method, case, samples=3, execution=Execution(unroll)) for unroll in (True, False))
    np.testing.assert_allclose(looped, written, rtol=1e-9, atol=1e-11)


def temporary(method):
    """Bytes of intermediate values of a method's compiled step."""
    model = nn.Sequential([nn.Dense(64), activations.gelu, nn.Dense(64), activations.gelu, nn.Dense(10)])
    x, y = jnp.ones((256, 32), jnp.float32), jnp.zeros(256, jnp.int32)
    params = jax.eval_shape(model.init, KEY, x)

    def direction(params):
        return method(lambda p, x: (model.apply(p, x), {}), losses.cross_entropy, params, (x, y), KEY, 0.1).direction

    return jax.jit(direction).lower(params).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_the_number_of_probes():
    """Beyond the second, whose sum with the first is one vector more: without the order that is imposed, 20 % more at eight."""
    assert temporary(hessian_trace(samples=8)) < 1.05 * temporary(hessian_trace(samples=2))


@pytest.mark.parametrize("method", [hessian_trace, gn_trace_hutchinson, nme_trace, gn_trace])
def test_in_a_loop_several_samples_take_the_memory_of_one(method):
    """With the forward pass kept over the loop, a third more and up to twice as much."""
    one, five = (temporary(method(samples=k, execution=Execution(unroll=False))) for k in (1, 5))
    assert five < 1.2 * one
