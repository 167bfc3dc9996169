"""Dense matrices and Frobenius norms by chunks against matrices that are known."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.curvature import matrices

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
LIKE = {"a": jnp.zeros((2, 3)), "b": jnp.zeros(1)}  # 7 entries
CHUNKS = [1, 3, 7, 10]  # whole, with a rest, and more columns than there are


def matrix(seed=0):
    return np.random.default_rng(seed).normal(size=(7, 7))


def as_map(A):
    """v ↦ A v on pytrees like LIKE."""

    def linear_map(v):
        y = A @ jnp.concatenate([v["a"].ravel(), v["b"]])
        return {"a": y[:6].reshape(2, 3), "b": y[6:]}

    return linear_map


def like():
    return jax.tree.map(lambda x: jnp.zeros(x.shape), LIKE)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_dense_is_the_matrix(chunk):
    np.testing.assert_array_equal(matrices.dense(as_map(matrix()), like(), chunk), matrix())


@pytest.mark.parametrize("chunk", CHUNKS)
def test_frobenius_norm(chunk):
    norm = jax.jit(lambda A: matrices.frobenius_norm(as_map(A), like(), chunk))
    np.testing.assert_allclose(norm(matrix()), np.linalg.norm(matrix()), rtol=1e-14)
    many = np.stack([matrix(seed) for seed in range(3)])
    np.testing.assert_allclose(jax.vmap(norm)(many), np.linalg.norm(many, axis=(1, 2)), rtol=1e-14)


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e200])
def test_frobenius_norm_neither_overflows_nor_underflows(scale):
    norm = matrices.frobenius_norm(as_map(scale * matrix()), like(), 3)
    np.testing.assert_allclose(norm, scale * np.linalg.norm(matrix()), rtol=1e-14)


def test_a_value_that_is_not_finite_shows():
    A = matrix()
    A[3, 2] = np.nan
    assert np.isnan(matrices.frobenius_norm(as_map(A), like(), 3))
    A[3, 2] = np.inf
    assert not np.isfinite(matrices.frobenius_norm(as_map(A), like(), 3))
