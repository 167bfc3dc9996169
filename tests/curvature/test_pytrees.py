"""Products of models with several outputs, with rules for reverse mode alone, and with leaves of any real kind."""

from __future__ import annotations

import gc
import itertools
import weakref
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from nmepkg.losses import cross_entropy
from tests import cases
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
close = {"rtol": 1e-9, "atol": 1e-11}


def data():
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(3, 4)), "u": rng.normal(size=(4, 2))}
    v = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)
    return jax.tree.map(jnp.asarray, params), v, jnp.asarray(rng.normal(size=(5, 3))), jnp.asarray([0, 1, 0, 1, 0])


def every_product(logits_fn, loss_fn, params, v):
    """Name -> product, each function and each map of a linearisation that was compiled."""
    maps = jax.jit(lambda p: curvature.linearize(logits_fn, loss_fn, p))(params)
    names = ("hvp", "gnvp", "nmevp")

    @interpreted
    def direct(params, v):
        found = {name: getattr(curvature, name)(logits_fn, loss_fn, params, v) for name in names}
        found["split"] = jax.tree.map(jnp.add, *curvature.split_nmevp(logits_fn, logits_fn, loss_fn, params, v))
        return found

    found = {**direct(params, v), "gradient": maps.gradient}
    for name in names:
        found[f"linearised {name}"] = next(curvature.map_vectors(getattr(maps, name), [v]))
    found["G of parts"], found["N of parts"] = interpreted(maps.parts)(v)
    return {name: cases.flat(value) for name, value in found.items()}


def test_two_heads_are_one_head_taken_apart():
    """Mean and log-variance as a tuple, and as the columns of one array: every product alike."""
    params, v, x, _ = data()
    target = jnp.asarray(np.random.default_rng(1).normal(size=5))

    def both(p):
        return jnp.tanh(x @ p["w"]) @ p["u"]

    def likelihood(mean, log_variance):
        return jnp.mean(0.5 * log_variance + 0.5 * (mean - target) ** 2 * jnp.exp(-log_variance))

    one = every_product(both, lambda z: likelihood(z[:, 0], z[:, 1]), params, v)
    two = every_product(lambda p: tuple(both(p).T), lambda z: likelihood(*z), params, v)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], **close, err_msg=name)
    np.testing.assert_allclose(one["hvp"], one["gnvp"] + one["nmevp"], **close)


@jax.custom_vjp
def fused(x):
    return jnp.tanh(x)


fused.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - jnp.tanh(x) ** 2),))


@jax.custom_vjp
def nested(x):
    """Its own rule calls it, so that forward mode fails in the gradient too."""
    return jnp.tanh(x)


nested.defvjp(lambda x: (nested(x), x), lambda x, g: (g * (1 - nested(x) ** 2),))


@jax.custom_vjp
def fused_loss(z, y):
    return cross_entropy(z, y)


fused_loss.defvjp(
    lambda z, y: (fused_loss(z, y), (z, y)),
    lambda kept, g: (g * (jax.nn.softmax(kept[0]) - jax.nn.one_hot(kept[1], 2)) / len(kept[1]), None),
)
ACTIVATIONS = {"plain": jnp.tanh, "fused": fused, "nested": nested, "compiled": jax.jit(nested)}


@cache
def of_layer(phi, loss):
    params, v, x, y = data()
    return every_product(lambda p: phi(x @ p["w"]) @ p["u"], lambda z: loss(z, y), params, v)


@pytest.mark.parametrize(
    ("activation", "loss"),
    list(itertools.product(ACTIVATIONS, (cross_entropy, fused_loss)))[1:],
    ids=lambda value: value if isinstance(value, str) else "fused loss" if value is fused_loss else "loss",
)
def test_rules_for_reverse_mode_alone_give_the_same_products(activation, loss):
    expected, got = of_layer(jnp.tanh, cross_entropy), of_layer(ACTIVATIONS[activation], loss)
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], **close, err_msg=name)


def test_leaves_that_are_numbers_or_empty():
    params, v, x, y = data()
    scaled, along = ({**tree, "gain": gain, "none": jnp.zeros((0, 4))} for tree, gain in ((params, 1.5), (v, 0.0)))
    products = every_product(
        lambda p: p["gain"] * (jnp.tanh(x @ p["w"]) @ p["u"]), lambda z: cross_entropy(z, y), scaled, along
    )
    expected = every_product(lambda p: 1.5 * (jnp.tanh(x @ p["w"]) @ p["u"]), lambda z: cross_entropy(z, y), params, v)
    for name in expected:  # the order of leaves: gain, none, u, w
        np.testing.assert_allclose(products[name][1:], expected[name], **close, err_msg=name)


def test_complex_parameters_and_vectors_of_other_shapes_are_refused():
    params, v, x, y = data()

    def logits_fn(p):
        return jnp.real(x @ p["w"] @ p["u"])

    for product in (curvature.hvp, curvature.gnvp, curvature.nmevp):
        imaginary = jax.tree.map(lambda leaf: leaf.astype(complex), params)
        with pytest.raises(TypeError, match="complex parameters"):
            product(logits_fn, lambda z: cross_entropy(z, y), imaginary, imaginary)
        with pytest.raises((TypeError, ValueError)):
            product(logits_fn, lambda z: cross_entropy(z, y), params, {**v, "w": v["w"].T})


def test_a_few_programs_are_kept_and_serve_all_points_of_a_linearisation(caplog):
    from nmepkg.curvature import products

    params, v, x, y = data()
    products._program.cache_clear()
    programs = []
    for batch in range(6):

        def logits_fn(p, batch=batch):
            return (x + batch) @ p["w"] @ p["u"]

        maps = jax.jit(lambda p: curvature.linearize(logits_fn, lambda z: cross_entropy(z, y), p).nmevp)
        found = [maps(point) for point in (params, v)]
        list(curvature.map_vectors(found[0], [v, v]))
        with jax.log_compiles():
            list(curvature.map_vectors(found[1], [v, v]))
        assert "Compiling" not in caplog.text
        programs.append(weakref.ref(products._program(jax.tree.structure(found[0]))))
    gc.collect()
    assert [program() is None for program in programs] == [True, True, False, False, False, False]
    assert products._program.cache_info().misses == 6


def test_other_maps_keep_a_few_programs_at_most():
    from nmepkg.curvature import products

    v = {"a": jnp.ones(3)}
    for scale in range(30):
        linear_map = jax.tree_util.Partial(lambda c, v, scale=scale: jax.tree.map(lambda x: scale * c * x, v), 2.0)
        (found,) = curvature.map_vectors(linear_map, [v])
        np.testing.assert_array_equal(found["a"], 2.0 * scale)
    assert products._apply._cache_size() <= 10
