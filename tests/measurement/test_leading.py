"""The two largest eigenvalues of matrices whose eigenvalues are known, equal and negative ones too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.measurement.leading import leading

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")

SPECTRA = {
    "apart": [5.0, 3.0, 1.0, 0.5, 0.0, -4.0],
    "equal": [5.0, 5.0, 1.0, 0.5, 0.0, -9.0],
    "the second negative": [5.0, -1.0, -1.5, -2.0, -3.0, -40.0],
    "of rank 1": [5.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "all equal": [2.0] * 6,
    "all negative": [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0],
    "zero": [0.0] * 6,
}


@pytest.mark.parametrize("steps", [3, 6, 20])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_two_largest(name, steps):
    expected = np.array(SPECTRA[name])
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))
    matrix = jnp.asarray(q * expected @ q.T)
    starts = [{"a": each[:2], "b": each[2:]} for each in jax.random.normal(jax.random.key(1), (2, 6))]

    def matvec(v):
        product = jnp.dot(matrix, jnp.concatenate([v["a"], v["b"]]))
        return {"a": product[:2], "b": product[2:]}

    first = leading(matvec, starts[0], steps, 1e-8)
    second = leading(matvec, starts[1], steps, 1e-8, first)
    vectors = np.stack([first.vector, second.vector])
    np.testing.assert_allclose([first.value, second.value], expected[:2], atol=1e-8)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(2), atol=1e-12)
    for found in (first, second):
        residual = np.linalg.norm(matrix @ found.vector - found.value * found.vector)
        assert residual <= found.bound + 1e-12
        if steps > 3:  # with so few, the runs that there are may end before it has converged, and the bound says so
            assert found.bound <= 2e-8 * max(abs(found.value), 1)


def test_what_is_not_finite_is_no_number():
    first = leading(lambda v: v * jnp.nan, jnp.ones(3), 2, 1e-3)
    second = leading(lambda v: v * jnp.nan, jnp.ones(3), 2, 1e-3, first)
    assert np.isnan([first.value, second.value, *first.vector, *second.vector]).all()
