"""Lanczos' method against dense eigendecompositions: convergence, quadrature, exhausted Krylov spaces, multiplicities."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

from nmepkg import curvature
from nmepkg.curvature import probes
from nmepkg.curvature.krylov import _begin, _step, eigenvalues, lanczos, ritz
from tests import cases

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
KEY = jax.random.key(0)


def symmetric(values, seed=0):
    """A matrix with the given eigenvalues."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    return (q * values) @ q.T


def run(matrix, steps, start=None, found=None, number=0):
    """Lanczos on a dense matrix, as a map of pytrees that is compiled."""
    matrix = jnp.asarray(matrix)
    like = {"a": jnp.zeros(2, matrix.dtype), "b": jnp.zeros(len(matrix) - 2, matrix.dtype)}
    start = probes.draw(jax.random.fold_in(KEY, number), like, "gaussian") if start is None else start
    return lanczos(partial(product, matrix), start, steps, found)


@jax.jit
def product(matrix, v):
    y = matrix @ jnp.concatenate([v["a"], v["b"]])
    return {"a": y[:2], "b": y[2:]}


def all_eigenvalues(matrix, steps, copies):
    return eigenvalues(lambda number, found: run(matrix, steps, None, found, number), run(matrix, steps), copies)


def test_all_steps_give_all_eigenvalues():
    matrix = symmetric(np.linspace(-2, 5, 12))
    first = run(matrix, 12)
    np.testing.assert_allclose(first.basis @ first.basis.T, np.eye(12), atol=1e-12)
    found = ritz(first)
    np.testing.assert_allclose(found.values, np.linspace(-2, 5, 12), rtol=1e-10)
    assert found.exhausted
    np.testing.assert_array_equal(found.bounds, 0)


def test_an_eigenvalue_lies_within_each_bound_and_extreme_ones_converge_first():
    truth = np.concatenate([[-9.0], np.random.default_rng(1).normal(size=58), [7.0]])
    found = ritz(run(symmetric(truth), 14))
    distance = np.abs(found.values[:, None] - truth).min(axis=1)
    assert (distance <= found.bounds + 1e-12).all()
    np.testing.assert_allclose(found.values[[0, -1]], [-9, 7], atol=1e-6)
    assert found.bounds[[0, -1]].max() < 1e-4 < found.bounds.max()
    assert not found.exhausted


@pytest.mark.parametrize("steps", [1, 4])
def test_quadrature_has_the_moments_of_the_matrix(steps):
    """Σ w θᵏ = vᵀAᵏv / vᵀv for k < 2·steps, and not beyond."""
    matrix = symmetric(np.random.default_rng(2).normal(size=20))
    v = np.random.default_rng(3).normal(size=20)
    found = ritz(run(matrix, steps, {"a": jnp.asarray(v[:2]), "b": jnp.asarray(v[2:])}))
    errors = [
        found.weights @ found.values**k - v @ np.linalg.matrix_power(matrix, k) @ v / (v @ v)
        for k in range(2 * steps + 1)
    ]
    np.testing.assert_allclose(errors[:-1], 0, atol=1e-12)
    assert abs(errors[-1]) > 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 1.0, -3e-6, 1e5])
def test_a_multiple_of_the_identity_exhausts_its_space_at_once(dtype, value):
    matrix = value * np.eye(9, dtype=dtype)
    found = ritz(run(matrix, 6))
    assert found.exhausted
    np.testing.assert_allclose(found.values, [value], rtol=1e-5)
    np.testing.assert_allclose(found.weights, [1])
    values, bounds = all_eigenvalues(matrix, 6, copies=4)
    np.testing.assert_allclose(values, [value] * 4, rtol=1e-5)
    np.testing.assert_array_equal(bounds, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multiplicities_up_to_the_copies_wanted(dtype):
    truth = np.array([-1.0, *[0.0] * 12, 2.0, 2.0, 3.0])
    matrix = symmetric(truth).astype(dtype)
    atol = 100 * np.finfo(dtype).eps
    values, bounds = all_eigenvalues(matrix, 8, copies=3)
    for end in (slice(None, 3), slice(-3, None)):
        np.testing.assert_allclose(values[end], truth[end], atol=atol)
        np.testing.assert_allclose(bounds[end], 0, atol=atol)
    values, _ = all_eigenvalues(matrix, 16, copies=16)
    np.testing.assert_allclose(values, truth, atol=atol)


@pytest.mark.parametrize("scale", [1e-32, 1e-25, 1e-20, 1e-15, 1e15, 1e25, 1e35])
def test_small_and_large_matrices_in_single_precision(scale):
    """Squares of their entries are out of range; so may be those of the start vector."""
    truth = np.array([-3.0, 1.0, 2.0, 4.0, 5.0])
    matrix = (symmetric(truth) * scale).astype(np.float32)
    for start in (None, {"a": jnp.full(2, 1e-25, jnp.float32), "b": jnp.asarray([2e-25, -1e-25, 3e-25], jnp.float32)}):
        found = ritz(run(matrix, 5, start))
        np.testing.assert_allclose(found.values / scale, truth, rtol=1e-4)
        assert found.exhausted
        early = ritz(run(matrix, 3, start))
        assert not early.exhausted
        distance = np.abs(early.values[:, None] / scale - truth).min(axis=1)
        assert (distance <= early.bounds / scale + 1e-4).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_are_found_where_the_space_is_not_exhausted(dtype):
    """Three copies at the top, two at the bottom of 60 eigenvalues, in 30 steps."""
    inner = np.random.default_rng(4).uniform(-1, 1, size=55)
    truth = np.sort(np.concatenate([[-9.0] * 2, inner, [7.0] * 3]))
    matrix = symmetric(truth).astype(dtype)
    assert not ritz(run(matrix, 30)).exhausted
    values, bounds = all_eigenvalues(matrix, 30, copies=5)
    atol = 200 * np.finfo(dtype).eps * 9
    np.testing.assert_allclose(values[:2], truth[:2], atol=atol)
    np.testing.assert_allclose(values[-3:], truth[-3:], atol=atol)
    assert max(bounds[:2].max(), bounds[-3:].max()) <= atol
    assert values[2] > -2  # and no more copies than there are
    assert values[-4] < 2


def test_simple_eigenvalues_are_listed_once():
    truth = np.concatenate([[-9.0, -8.0], np.random.default_rng(5).uniform(-1, 1, size=56), [6.0, 7.0]])
    once = ritz(run(symmetric(truth), 20))
    values, _ = all_eigenvalues(symmetric(truth), 20, copies=5)
    np.testing.assert_array_equal(values, once.values)


@pytest.mark.parametrize("steps", [0, 6])
def test_refuses_steps_that_are_not_there(steps):
    with pytest.raises(ValueError, match="from 1 to 5 steps"):
        run(np.eye(5), steps)


def test_no_start_has_no_eigenvalues():
    nothing = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
    assert np.isnan(ritz(run(np.eye(5), 3, nothing)).values).all()


def test_parameters_in_half_precision():
    like = {"a": jnp.ones(3, jnp.bfloat16), "b": jnp.ones(2, jnp.float32)}
    with jax.numpy_dtype_promotion("standard"):  # which JAX's own ravel_pytree needs for leaves of several types
        found = ritz(lanczos(lambda v: jax.tree.map(lambda x: 2 * x, v), like, 3))
    np.testing.assert_allclose(found.values[0], 2, rtol=1e-2)


def test_an_operator_that_is_not_finite_has_no_eigenvalues():
    matrix = symmetric(np.arange(8.0))
    matrix[0, 0] = np.nan
    values, bounds = all_eigenvalues(matrix, 4, copies=3)
    assert np.isnan([*values, *bounds]).all()


@pytest.mark.parametrize("name", ["hvp", "nmevp"])
def test_agrees_with_scipy(name):
    """The peer: ARPACK's implicitly restarted Lanczos method, on the same products."""
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    linear_map = getattr(jax.jit(lambda p: curvature.linearize(case.logits, case.loss, p))(case.params), name)
    flat, unravel = jax.flatten_util.ravel_pytree(case.params)
    matvec = jax.jit(lambda v: jax.flatten_util.ravel_pytree(linear_map(unravel(v)))[0])
    peer = eigsh(LinearOperator((flat.size, flat.size), matvec, dtype=np.float64), 6, which="BE")[0]
    start = probes.draw(KEY, case.params, "gaussian")
    found = ritz(lanczos(jax.jit(linear_map), start, 40))
    np.testing.assert_allclose(found.values[[0, 1, 2, -3, -2, -1]], np.sort(peer), atol=1e-8)


def test_inside_a_compiled_function_it_is_the_same():
    matrix = jnp.asarray(symmetric(np.linspace(-2, 5, 12)))
    start = {"a": jnp.ones(2), "b": jnp.arange(10.0)}
    inside = jax.jit(lambda matrix, start: lanczos(partial(product, matrix), start, 4))(matrix, start)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), inside, run(matrix, 4, start))


def test_what_a_product_returns_is_still_the_callers():
    """The state is donated from step to step; vectors and products are not, and the same one may come back."""
    start = {"a": jnp.ones(2), "b": jnp.arange(3.0)}
    products = []

    def identity(v):
        products.append(v)
        return v

    lanczos(identity, start, 3)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves([start, products[0]]))
    constant = {"a": jnp.ones(2), "b": jnp.ones(3)}
    lanczos(lambda v: constant, start, 3)
    np.testing.assert_array_equal(constant["a"], 1)


@pytest.mark.parametrize("rows", [None, 7])
def test_memory_is_the_basis_and_a_few_vectors(rows):
    """A step writes the basis where it is, and needs as little besides for forty steps as for ten."""
    v = {"a": jnp.ones((50, 20)), "b": jnp.ones(3000)}
    size = 4000
    vector, found = 8 * size, None if rows is None else jnp.zeros((rows, size))

    def beyond_the_basis(steps):
        state, first = _begin(v, found, steps)
        memory = _step.lower(state, first, v, found, 0).compile().memory_analysis()
        assert memory.alias_size_in_bytes >= steps * vector
        begin = _begin.lower(v, found, steps).compile().memory_analysis()
        assert begin.output_size_in_bytes + begin.temp_size_in_bytes < (steps + 5) * vector
        return memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes

    assert beyond_the_basis(40) < beyond_the_basis(10) + 0.1 * vector < 5 * vector
