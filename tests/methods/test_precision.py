"""Functions in half precision as they would be in single: loops, branches, whole models, and PSAM by a difference."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import activations
from nmepkg.losses import cross_entropy
from nmepkg.methods import psam, psam_fd, sgd
from nmepkg.methods.precision import in_single, rounds
from nmepkg.models.cnn import CNN
from nmepkg.models.mlp import MLP
from nmepkg.models.vit import ViT

KEY = jax.random.key(0)
MODELS = {
    "mlp": lambda dtype: MLP(4, activations.gelu, width=8, depth=2, batch_norm=True, dtype=dtype),
    "cnn": lambda dtype: CNN(4, activations.silu, channels=[4], width=8, dtype=dtype),
    "vit": lambda dtype: ViT(4, activations.relu, patch=4, depth=1, width=8, heads=2, dtype=dtype),
}


def problem(name):
    """(dtype -> logits_fn, params, batch)"""
    rng = np.random.default_rng(0)
    batch = jnp.asarray(rng.normal(size=(8, 8, 8, 1)), jnp.float32), jnp.asarray(rng.integers(0, 4, 8))
    variables = MODELS[name](None).init(KEY, batch[0], train=False)

    def logits_fn(dtype):
        model = MODELS[name](dtype)

        def apply(params, x):
            logits, state = model.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
            return logits, state

        return apply

    return logits_fn, variables["params"], batch


def relative_error(a, b):
    a, b = (np.asarray(ravel_pytree(tree)[0], float) for tree in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize(("name", "dtype"), [("mlp", jnp.float16), *((name, jnp.bfloat16) for name in MODELS)], ids=str)
def test_gradients_are_those_of_the_model_in_single_precision(name, dtype):
    logits_fn, params, (x, y) = problem(name)

    def gradient(dtype):
        return jax.grad(lambda p: cross_entropy(logits_fn(dtype)(p, x)[0], y))

    single, half, raised = (jax.jit(f)(params) for f in (gradient(None), gradient(dtype), in_single(gradient(dtype))))
    # Constants, √2 of GELU say, stay as they were rounded.
    assert relative_error(raised, single) < min(3e-3, 0.5 * relative_error(half, single))
    assert rounds(gradient(dtype), params)
    assert not rounds(gradient(None), params)


def test_loops_branches_and_rules_of_differentiation():
    def f(x):
        y = x.astype(jnp.bfloat16)

        def body(carry, s):
            carry = jax.checkpoint(jnp.sin)(carry) * s.astype(jnp.bfloat16)
            return carry, carry.sum()

        y, sums = jax.lax.scan(body, y, x)
        y = jax.lax.cond(x[0] > 0, lambda y: y * jnp.bfloat16(1.1), lambda y: y, y)
        y = jax.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, jax.nn.silu(c[1])), (0, y))[1]
        scattered = jnp.zeros(4, jnp.bfloat16).at[jnp.asarray([1, 1, 2])].add(y)
        key_bits = jax.random.normal(KEY, (3,), jnp.bfloat16)
        return {"y": y, "sums": sums, "scattered": scattered, "drawn": key_bits}

    x = jnp.asarray([0.3, 1.7, 2.9])
    raised = in_single(f)(x)
    assert {leaf.dtype for leaf in jax.tree.leaves(raised)} == {jnp.dtype(jnp.float32)}
    y = np.asarray(x, float)
    sums = []
    for s in np.asarray(x, float):
        y = np.sin(y) * s
        sums.append(y.sum())
    y = y * float(jnp.bfloat16(1.1))
    for _ in range(2):
        y = y / (1 + np.exp(-y))
    np.testing.assert_allclose(raised["y"], y, rtol=1e-5)
    np.testing.assert_allclose(raised["sums"], sums, rtol=1e-5)
    np.testing.assert_allclose(raised["scattered"], [0, y[0] + y[1], y[2], 0], rtol=1e-5)
    np.testing.assert_allclose(raised["drawn"], f(x)["drawn"].astype(jnp.float32), atol=0.01)


def directions(method):
    """(float32's, bfloat16's) of a method."""
    logits_fn, params, batch = problem("mlp")
    return [
        jax.jit(lambda p, dtype=dtype: method(logits_fn(dtype), cross_entropy, p, batch, KEY, 0.05).direction)(params)
        for dtype in (None, jnp.bfloat16)
    ]


def test_a_small_step_survives_half_precision():
    """ρ(∇L(θ + hĝ) − ∇L(θ))/h of a bfloat16 model against float32's, as near as H ĝ comes by autodiff."""

    def error(method):
        corrections = [
            jax.tree.map(jnp.subtract, *pair) for pair in zip(directions(method), directions(sgd()), strict=True)
        ]
        return relative_error(corrections[1], corrections[0])

    assert error(psam_fd(step=1e-2)) < 2 * error(psam()) < 0.1


def test_a_small_step_survives_half_precision_in_groups():
    """There the method runs under vmap."""
    single, half = directions(psam_fd(step=1e-2, m=4))
    assert relative_error(half, single) < 0.03
