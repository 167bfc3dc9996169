"""H v, G v and N v against dense matrices, and the identities between them, in double precision."""

from __future__ import annotations

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations, curvature
from tests import cases
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
close = {"rtol": 1e-9, "atol": 1e-10}

ORACLES = {"hvp": cases.dense_hessian, "gnvp": cases.dense_gauss_newton, "nmevp": cases.dense_nme}


@cases.of_case
def computed(case, v):
    """Name -> (A v by its function, A v by a linearisation), and G v and N v by both in one pass."""
    shared = curvature.linearize(case.logits, case.loss, case.params)
    ways = {p: (getattr(curvature, p)(case.logits, case.loss, case.params, v), getattr(shared, p)(v)) for p in ORACLES}
    return ways, dict(zip(("gnvp", "nmevp"), shared.parts(v), strict=True))


@cases.each_case
def test_products_are_those_of_the_dense_matrices(name):
    case = cases.make(name)
    v = cases.vector(case)
    ways, parts = computed(case, v)
    once = {product: cases.flat(ways[product][0]) for product in ORACLES}
    for product, oracle in ORACLES.items():
        expected = oracle(case) @ cases.flat(v)
        np.testing.assert_allclose(once[product], expected, **close)
        np.testing.assert_allclose(cases.flat(ways[product][1]), expected, **close)
        if product in parts:
            np.testing.assert_allclose(cases.flat(parts[product]), expected, **close)
    np.testing.assert_allclose(once["hvp"], once["gnvp"] + once["nmevp"], **close)


@pytest.mark.parametrize("name", [name for name in cases.TABLE if name[2] not in cases.NOT_SMOOTH], ids="-".join)
def test_products_agree_with_differences_of_gradients(name):
    case = cases.make(name)
    v, h = cases.vector(case), 1e-5

    def gradient(scale):
        shifted = jax.tree.map(lambda p, d: p + scale * d, case.params, v)
        return cases.gradient(case._replace(params=shifted))

    difference = (gradient(h) - gradient(-h)) / (2 * h)
    product = cases.flat(computed(case, v)[0]["hvp"][0])
    np.testing.assert_allclose(product, difference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", cases.LOSSES)
def test_a_model_linear_in_its_parameters_has_no_nme(loss):
    case = cases.make(("linear", loss, "relu"))
    n, _ = computed(case, cases.vector(case))[0]["nmevp"]
    np.testing.assert_array_equal(cases.flat(n), 0)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu_ablated"])
def test_diagonal_of_the_nme_vanishes_without_second_derivative_though_the_nme_does_not(activation):
    case = cases.make(("mlp", "cross_entropy", activation))
    matrix = _matrix(case, product="nmevp")
    np.testing.assert_allclose(np.diag(matrix), 0, atol=1e-14)
    assert np.abs(matrix).max() > 1e-2


@cases.each_case
def test_gauss_newton_is_positive_semidefinite(name):
    matrix = _matrix(cases.make(name), product="gnvp")
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > -1e-12


@pytest.mark.parametrize("activation", ["gelu", "tanh", "relu_synthetic"])
def test_split_separates_what_comes_through_the_second_derivative(activation):
    name = ("mlp", "cross_entropy", activation)
    case = cases.make(name)
    phi = cases.ACTIVATIONS[activation]
    _, ablated = cases.MODELS["mlp"](
        np.random.default_rng(0), activations.replace_second_derivative(phi, activations.zero)
    )
    v = cases.vector(case)

    def split(logits_fn, ablated_fn, params, v):
        return interpreted(lambda p, v: curvature.split_nmevp(logits_fn, ablated_fn, case.loss, p, v))(params, v)

    part, rest = split(case.logits, lambda p: ablated(p, case.batch[0]), case.params, v)
    whole, _ = computed(case, v)[0]["nmevp"]
    np.testing.assert_allclose(cases.flat(part) + cases.flat(rest), cases.flat(whole), **close)

    # In a net of one hidden layer, the part through φ'' is block-diagonal with r·w φ''(a) x xᵀ: written out by hand.
    params = case.params[:1] + case.params[2:]

    def one_layer(phi):
        return lambda p: phi(case.batch[0] @ p[0]["kernel"] + p[0]["bias"][None]) @ p[1]["kernel"] + p[1]["bias"][None]

    v = [{k: jnp.ones_like(x) for k, x in layer.items()} for layer in params]
    part, _ = split(one_layer(phi), one_layer(activations.replace_second_derivative(phi, activations.zero)), params, v)
    x = case.batch[0]

    @interpreted
    def hidden(params, v):
        a = x @ params[0]["kernel"] + params[0]["bias"][None]
        second = jax.vmap(jax.vmap(jax.grad(jax.grad(lambda s: phi(s)))))(a)
        residual = jax.grad(case.loss)(one_layer(phi)(params))
        return (residual @ params[1]["kernel"].T) * second * (x @ v[0]["kernel"] + v[0]["bias"][None])

    by_hand = hidden(params, v)
    np.testing.assert_allclose(part[0]["kernel"], x.T @ by_hand, **close)
    np.testing.assert_allclose(part[0]["bias"], by_hand.sum(0), **close)
    np.testing.assert_allclose(cases.flat(part[1]), 0, atol=1e-14)


def test_one_linearisation_serves_many_vectors():
    case = cases.make(("normalized", "cross_entropy", "gelu"))
    vectors = [cases.vector(case, seed) for seed in range(3)]
    stacked = cases.stack(vectors)
    products = jax.jit(lambda p: curvature.linearize(case.logits, case.loss, p))(case.params)
    for product, oracle in ORACLES.items():
        one_by_one = list(curvature.map_vectors(getattr(products, product), vectors))
        at_once = jax.jit(jax.vmap(getattr(products, product)))(stacked)
        for i, v in enumerate(vectors):
            expected = oracle(case) @ cases.flat(v)
            np.testing.assert_allclose(cases.flat(one_by_one[i]), expected, **close)
            np.testing.assert_allclose(cases.flat(jax.tree.map(lambda r, i=i: r[i], at_once)), expected, **close)
    np.testing.assert_allclose(products.loss, case.loss(products.logits))
    np.testing.assert_allclose(cases.flat(products.gradient), cases.gradient(case), **close)


def test_mapping_draws_vectors_as_it_goes():
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    hvp = jax.jit(lambda p: curvature.linearize(case.logits, case.loss, p).hvp)(case.params)
    drawn = []

    def draws():
        for seed in range(3):
            drawn.append(seed)
            yield cases.vector(case, seed)

    next(curvature.map_vectors(hvp, draws()))
    assert drawn == [0]


def test_mapping_holds_one_vector_at_a_time():
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    hvp = jax.jit(lambda p: curvature.linearize(case.logits, case.loss, p).hvp)(case.params)

    def most(count):
        """Bytes that live at once while one result after another comes and goes."""
        gc.collect()
        vectors = (cases.vector(case, seed) for seed in range(count))
        return max(sum(x.nbytes for x in jax.live_arrays()) for _ in curvature.map_vectors(hvp, vectors))

    few = most(3)  # what a first call makes once and for all is there now
    assert most(30) <= most(3) <= few


def test_mapping_at_another_point_compiles_nothing(caplog):
    case = cases.make(("mlp", "cross_entropy", "gelu"))
    v = cases.vector(case)
    at = jax.jit(lambda p: curvature.linearize(case.logits, case.loss, p).hvp)
    moved = jax.tree.map(lambda p: 2 * p, case.params)

    def product(params):
        return cases.flat(next(curvature.map_vectors(at(params), [v])))

    with jax.log_compiles():
        first = product(case.params)
        assert "Compiling" in caplog.text
        caplog.clear()
        second = product(moved)
        assert "Compiling" not in caplog.text
    assert not np.allclose(first, second)


@cases.of_case
def _matrix(case, product):
    theta, unravel = jax.flatten_util.ravel_pytree(case.params)
    of = getattr(curvature, product)
    return jax.vmap(lambda e: cases.raveled(of(case.logits, case.loss, case.params, unravel(e))), out_axes=1)(
        jnp.eye(theta.size)
    )
