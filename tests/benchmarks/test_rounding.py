"""Shortened products, emulated, against XLA's own rounding and NumPy's double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.networks import Problem
from benchmarks.rounding import LOST, Case, Step, shortened


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_numbers_are_rounded_as_xla_rounds_them(lost: int) -> None:
    ties = jnp.asarray([0.0, -0.0, 1.0, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8])
    x = jnp.concatenate([jax.random.normal(jax.random.key(0), (1000,)), ties])
    wanted = jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=23 - lost)
    np.testing.assert_array_equal(shortened(x, jnp.uint32(lost)), wanted)


def test_a_gradient_in_double_precision_and_by_short_products() -> None:
    """Of cross-entropy of x @ w, which is xᵀ(p − y)/B."""
    rng = np.random.default_rng(0)
    x, w, y = rng.normal(size=(8, 5)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32), np.arange(8) % 3
    problem = Problem(lambda params, x: (x @ params, None), jnp.asarray(w), (jnp.asarray(x), jnp.asarray(y)))
    step = Step(problem, Case("sgd", {}, (0.0,)))

    def gradient(factor: Callable[[Any], Any]) -> Any:
        logits = factor(x) @ factor(w)
        residual = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(3)[y]
        return (factor(x).T @ factor(residual / 8)).ravel()

    def short(array: Any) -> Any:
        return np.asarray(jnp.asarray(array, jnp.bfloat16), float)

    full = gradient(lambda array: array.astype(float))
    np.testing.assert_allclose(step.exact()(0.0), full, rtol=1e-12, atol=1e-15)
    found = step.emulated()
    np.testing.assert_allclose(found("float32", 0.0), full, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found("bfloat16", 0.0), gradient(short), rtol=1e-4, atol=1e-6)
    assert np.abs(gradient(short) - full).max() > 1e-4
