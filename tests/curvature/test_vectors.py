"""Norms and products of pytrees against NumPy in double precision, at the ends of what their types hold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.curvature import vectors

pytestmark = pytest.mark.usefixtures("strict_promotion")


@pytest.mark.parametrize("size", [2e-38, 1e-22, 1.0, 1e25, 1e37])
def test_norms_of_tiny_and_huge_entries(size):
    tree = {"a": jnp.asarray([3.0, 0.0], jnp.float32) * size, "b": jnp.asarray(4.0, jnp.float32) * size}
    np.testing.assert_allclose(vectors.norm(tree), 5 * size, rtol=1e-6)
    unit, length = vectors.normalize(tree)
    np.testing.assert_allclose([*unit["a"], unit["b"]], [0.6, 0.0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(length, 5 * size, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "rtol"), [(jnp.float16, 1e-3), (jnp.bfloat16, 1e-2)])
def test_half_precision_is_summed_in_single(dtype, rtol):
    """Squares of 300 overflow in float16; 90,000 equal terms stop counting in bfloat16."""
    x = np.full((300, 300), 300.0)
    tree = [jnp.asarray(x, dtype)]
    (unit,), length = vectors.normalize(tree)
    assert (unit.dtype, length.dtype) == (dtype, jnp.float32)
    np.testing.assert_allclose(length, np.linalg.norm(x), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(unit, float)), 1, rtol=rtol)
    np.testing.assert_allclose(vectors.dot(tree, tree), np.sum(x**2), rtol=1e-5)


def test_types_are_kept_and_leaves_without_entries_count_nothing():
    tree = {"n": 2.0, "none": jnp.zeros((0, 4)), "half": jnp.asarray([1.0], jnp.bfloat16), "x": jnp.asarray([2.0, 4.0])}
    unit, length = vectors.normalize(tree)
    assert length == 5
    assert jax.tree.map(lambda x: (x.shape, x.dtype), unit) == {
        "n": ((), jnp.float32),
        "none": ((0, 4), jnp.float32),
        "half": ((1,), jnp.bfloat16),
        "x": ((2,), jnp.float32),
    }
    np.testing.assert_allclose(unit["x"], [0.4, 0.8], rtol=1e-6)


@pytest.mark.parametrize("tree", [{}, [jnp.zeros((0, 3))], [jnp.zeros(3)]])
def test_nothing_has_norm_0(tree):
    unit, length = vectors.normalize(tree)
    assert length == vectors.norm(tree) == 0
    assert jax.tree.structure(unit) == jax.tree.structure(tree)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(unit))


def test_what_is_not_finite_shows():
    for value in (np.nan, np.inf):
        assert not np.isfinite(vectors.norm([jnp.asarray([1.0, value])]))


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="complex parameters are not supported"):
        vectors.refuse_complex({"a": jnp.zeros(2, jnp.complex64)})
