"""Probes: their moments, and those of the trace estimates that they give."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.curvature import probes

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
LIKE = {"a": jnp.zeros((2, 2)), "b": jnp.zeros(3, jnp.float32)}
DRAWS = 20_000


def draws(kind):
    """(DRAWS, 7) flat probes."""
    many = jax.jit(jax.vmap(lambda key: probes.draw(key, LIKE, kind)))(jax.random.split(jax.random.key(0), DRAWS))
    return np.concatenate([np.asarray(leaf, np.float64).reshape(DRAWS, -1) for leaf in jax.tree.leaves(many)], axis=1)


@pytest.mark.parametrize("kind", ["gaussian", "rademacher"])
def test_entries_are_independent_with_mean_0_and_variance_1(kind):
    v = draws(kind)
    error = 4 / np.sqrt(DRAWS)
    np.testing.assert_allclose(v.mean(axis=0), 0, atol=error)
    np.testing.assert_allclose(v.T @ v / DRAWS, np.eye(7), atol=1.5 * error)
    if kind == "rademacher":
        assert set(np.unique(v)) == {-1.0, 1.0}
    else:
        np.testing.assert_allclose((v**4).mean(), 3, atol=0.1)


@pytest.mark.parametrize("kind", ["gaussian", "rademacher"])
def test_trace_estimates_have_the_mean_and_variance_of_the_docstring(kind):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(7, 7))
    a = a + a.T
    estimates = np.einsum("ni,ij,nj->n", v := draws(kind), a, v)
    variance = 2 * (np.sum(a**2) - (np.sum(np.diag(a) ** 2) if kind == "rademacher" else 0))
    assert abs(estimates.mean() - np.trace(a)) < 4 * np.sqrt(variance / DRAWS)
    np.testing.assert_allclose(estimates.var(), variance, rtol=0.1)


def test_a_probe_is_of_the_structure_shapes_and_types_of_the_parameters():
    v = probes.draw(jax.random.key(0), LIKE, "gaussian")
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), v) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), LIKE
    )
