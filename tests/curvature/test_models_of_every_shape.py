"""Operators of models and losses of many shapes against dense matrices: regression, one logit, tokens, heads, no logits."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import curvature
from nmepkg.losses import cross_entropy, mse
from tests.curvature import dense
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
EXAMPLES, TOKENS, INPUTS, WIDTH = 4, 2, 3, 2


def normal(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed).normal(size=shape))  # of float64, which JAX has in tests alone


X, SEQUENCE = normal(EXAMPLES, INPUTS), normal(EXAMPLES, TOKENS, INPUTS)
CLASS, BINARY = np.arange(EXAMPLES) % WIDTH, (np.arange(EXAMPLES) % 2).astype(float)
PARAMS = {"w": normal(INPUTS, WIDTH, seed=1), "u": normal(WIDTH, WIDTH, seed=2), "shift": normal(seed=3)}


def features(p, x):
    return jnp.tanh(x @ p["w"] + p["shift"]) @ p["u"]


def logistic(z, y):
    return jnp.mean(jax.nn.softplus(z) - y * z)


def masked(z, batch):
    each = jax.vmap(jax.vmap(lambda z, y: cross_entropy(z[None], y[None])))(z, batch["y"])
    return jnp.sum(each * batch["mask"]) / jnp.sum(batch["mask"])


def dropped(p, batch):
    kept = jax.random.bernoulli(batch["key"], 0.5, batch["x"].shape)
    return features(p, jnp.where(kept, batch["x"], 0.0))


def likelihood(z, y):
    return jnp.mean(z["spread"] + (z["mean"] - y) ** 2 * jnp.exp(-z["spread"]))


MASK = np.asarray([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
# name -> (logits_fn, loss_fn, batch)
CASES = {
    "regression": (lambda p, b: features(p, b[0]), lambda z, b: mse(z, b[1]), (X, normal(EXAMPLES, WIDTH, seed=4))),
    "an image for each": (
        lambda p, b: jnp.einsum("bi,bj->bij", features(p, b[0]), features(p, b[0])),
        lambda z, b: mse(z, b[1]),
        (X, normal(EXAMPLES, WIDTH, WIDTH, seed=4)),
    ),
    "one-dimensional targets": (
        lambda p, b: features(p, b[0])[:, 0],
        lambda z, b: jnp.mean((z - b[1]) ** 2) / 2,
        (X, normal(EXAMPLES, seed=4)),
    ),
    "one logit": (lambda p, b: features(p, b[0])[:, 0], lambda z, b: logistic(z, b[1]), (X, BINARY)),
    "one logit in a column": (
        lambda p, b: features(p, b[0])[:, :1],
        lambda z, b: logistic(z, b[1][:, None]),
        (X, BINARY),
    ),
    "tokens with a mask": (
        lambda p, b: features(p, b["x"]),
        masked,
        {"x": SEQUENCE, "y": np.arange(EXAMPLES * TOKENS).reshape(EXAMPLES, TOKENS) % WIDTH, "mask": MASK},
    ),
    "several inputs": (
        lambda p, b: features(p, b["inputs"]["left"] * b["inputs"]["right"]),
        lambda z, b: cross_entropy(z, b["y"]),
        {"inputs": {"left": X, "right": normal(EXAMPLES, INPUTS, seed=5)}, "y": CLASS},
    ),
    "two heads": (
        lambda p, b: dict(zip(("mean", "spread"), features(p, b[0]).T, strict=True)),
        lambda z, b: likelihood(z, b[1]),
        (X, normal(EXAMPLES, seed=4)),
    ),
    "dropout": (dropped, lambda z, b: cross_entropy(z, b["y"]), {"x": X, "y": CLASS, "key": jax.random.key(5)}),
    "a bare scalar": (lambda p, b: jnp.sum(features(p, b)), lambda z, b: jnp.sin(z), X),
    "no data": (lambda p: features(p, X), lambda z: cross_entropy(z, CLASS), None),
    "any function": (lambda p: jnp.sum(features(p, X) ** 2) * p["shift"], None, None),
    "any function of data": (lambda p, b: jnp.mean(features(p, b) ** 3), None, X),
}


def given(batch):
    return () if batch is None else (batch,)


@cache
def oracles(name):
    """H, G and N: N from the Hessian of every logit by itself, and the residual."""
    logits_fn, loss_fn, batch = CASES[name]
    batch = jax.tree.map(jnp.asarray, batch)
    theta, unravel = ravel_pytree(jax.tree.map(jnp.asarray, PARAMS))

    def logits(t):
        return ravel_pytree(logits_fn(unravel(t), *given(batch)))[0]

    structure = ravel_pytree(logits_fn(unravel(theta), *given(batch)))[1]

    def loss(z):
        return z[0] if loss_fn is None else loss_fn(structure(z), *given(batch))

    @interpreted
    def parts(theta):
        z, jacobian = logits(theta), jax.jacfwd(logits)(theta)
        return {
            "H": jax.jacrev(jax.grad(lambda t: loss(logits(t))))(theta),
            "G": jax.hessian(lambda t: loss(z + jacobian @ (t - theta)))(theta),
            "N": jnp.tensordot(jax.grad(loss)(z), jax.hessian(logits)(theta), 1),
        }

    return parts(theta)


def make(name, part, params, **options):
    logits_fn, loss_fn, batch = CASES[name]
    return curvature.operator(part, logits_fn, loss_fn, params, batch, **options)


@pytest.mark.parametrize("part", "HGN")
@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_dense_matrices(name, part):
    if part != "H" and CASES[name][1] is None:
        with pytest.raises(ValueError, match=f"{part} needs the loss apart from the model"):
            make(name, part, PARAMS)
        return

    @interpreted
    def matrix(params):
        A = make(name, part, params)
        return jax.vmap(A.matvec, in_axes=1, out_axes=1)(jnp.eye(A.size))

    np.testing.assert_allclose(matrix(PARAMS), oracles(name)[part], rtol=0, atol=1e-13 * scale(name))


def scale(name):
    return np.abs(oracles(name)["H"]).max()


def test_eigenpairs_traces_and_densities_of_any_function():
    A, expected = make("any function", "H", PARAMS), np.asarray(oracles("any function")["H"])
    found = curvature.eigenpairs(A, top=2, bottom=1)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(expected)[[-1, -2, 0]], rtol=1e-9)
    assert curvature.xtrace(A, products=A.size).value == pytest.approx(np.trace(expected), rel=1e-12)
    np.testing.assert_allclose(A.ravel(curvature.xdiag(A, products=A.size).value), np.diag(expected), rtol=1e-12)
    mean, error = curvature.density(A, steps=4, samples=5).mean(lambda x: x)
    assert abs(mean - np.trace(expected) / A.size) < 3 * error


def test_parameters_of_other_kinds():
    """Integers and complex numbers are refused, and may be left out by ``only``; a leaf may be empty, or a half."""
    params = {**PARAMS, "none": jnp.zeros((0, 3)), "step": 3}
    with pytest.raises(TypeError, match=r"parameter 'step' is of int.*: leave it out by only=, or cast it"):
        make("any function", "H", params)
    with pytest.raises(TypeError, match=r"parameter 'z' is of complex128.*: give its real and imaginary parts as two"):
        make("any function", "H", {**PARAMS, "z": jnp.asarray(1j)})
    A = make("any function", "H", params, only=lambda name: name != "step")
    np.testing.assert_allclose(A @ np.ones(A.size), oracles("any function")["H"] @ np.ones(A.size), rtol=1e-12)


def test_eigenvalues_in_half_precision():
    """To 10 epsilons of ‖A‖; products of rounded vectors are no better."""
    dtype = "bfloat16"
    values = np.array([-2.0, -1.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
    double = dense.operator(dense.symmetric(values))
    like = jax.tree.map(lambda leaf: leaf.astype(dtype), double.like)

    def products(vectors):
        exact = double.products([jax.tree.map(lambda x: x.astype(float), v) for v in vectors])
        return [jax.tree.map(lambda x: x.astype(dtype), v) for v in exact]

    found = curvature.eigenpairs(curvature.Operator(like, products), top=2, bottom=1)
    assert found.converged.all()
    np.testing.assert_allclose(found.values, [4.0, 3.0, -2.0], rtol=0, atol=40 * float(jnp.finfo(dtype).eps))
