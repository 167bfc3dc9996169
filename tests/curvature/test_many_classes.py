"""Products of a softmax cross-entropy with many classes: nothing is of the size of its (B, C, C) second derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from nmepkg.curvature.jaxprs import equations
from nmepkg.losses import cross_entropy

BATCH, CLASSES, WIDTH = 4, 10_000, 5
PRODUCTS = {"H": curvature.hvp, "G": curvature.gnvp, "N": curvature.nmevp}


def logits_fn(params, batch):
    return jnp.tanh(batch["x"] @ params["in"]) @ params["out"]


def loss_fn(logits, batch, label_smoothing=0.0):
    return cross_entropy(logits, batch["y"], label_smoothing)


def problem():
    keys = jax.random.split(jax.random.key(0), 3)
    params = {"in": jax.random.normal(keys[0], (3, WIDTH)), "out": jax.random.normal(keys[1], (WIDTH, CLASSES))}
    return params, {"x": jax.random.normal(keys[2], (BATCH, 3)), "y": jnp.arange(BATCH)}


def largest(function, *arguments):
    """The number of entries of the largest array that a program has, inputs and outputs included."""
    traced = jax.make_jaxpr(function)(*arguments).jaxpr
    variables = [*traced.invars, *(variable for equation in equations(traced) for variable in equation.outvars)]
    return max(int(np.prod(variable.aval.shape)) for variable in variables)


@pytest.mark.parametrize("part", PRODUCTS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_array_is_of_the_classes_squared(part, smoothing):
    """The largest are of the size of the logits and of the last layer's parameters."""
    params, batch = problem()

    def loss(z):
        return loss_fn(z, batch, smoothing)

    def product(p, v):
        return PRODUCTS[part](lambda p: logits_fn(p, batch), loss, p, v)

    def linearized(p, v):
        at = curvature.linearize(lambda p: logits_fn(p, batch), loss, p)
        return {"H": at.hvp, "G": at.gnvp, "N": at.nmevp}[part](v), at.parts(v)

    for function in (product, linearized):
        assert largest(function, params, params) <= max(WIDTH, BATCH) * CLASSES


def test_a_compiled_product_is_as_small():
    """By XLA's account of all that a program holds beside its inputs: a few times the logits and the parameters."""
    params, batch = problem()
    for part in PRODUCTS:

        def product(p, v, part=part):
            return PRODUCTS[part](lambda p: logits_fn(p, batch), lambda z: loss_fn(z, batch), p, v)

        memory = jax.jit(product).lower(params, params).compile().memory_analysis()
        held = memory.temp_size_in_bytes + memory.output_size_in_bytes
        assert held < 20 * 4 * (WIDTH + BATCH) * CLASSES < 4 * BATCH * CLASSES**2 / 100


def test_the_check_sees_what_is_formed():
    few = {"y": jnp.arange(2)}
    formed = largest(lambda z: jax.hessian(lambda z: loss_fn(z, few))(z), jnp.zeros((2, 50)))
    assert formed >= 2 * 50 * 50


@pytest.mark.usefixtures("x64")
def test_the_operator_has_the_curvature_of_the_softmax():
    """Of zero logits, whose second derivative is (I/C − 11ᵀ/C²)/B: G of the last layer, in closed form."""
    _, batch = problem()
    params = {"in": jnp.zeros((3, WIDTH)), "out": jnp.zeros((WIDTH, CLASSES))}

    def features(params, batch):
        return (1 + 0 * batch["x"] @ params["in"]) @ params["out"]  # ones, whatever the input

    A = curvature.operator("G", features, loss_fn, params, batch, only="out")
    v = jax.random.normal(jax.random.key(1), (WIDTH, CLASSES))
    column = v.sum(axis=0)  # J v of each example
    expected = jnp.broadcast_to((column - column.mean()) / CLASSES, (WIDTH, CLASSES))
    np.testing.assert_allclose(A({"in": None, "out": v})["out"], expected, rtol=1e-8, atol=1e-15)
