"""Quadratic forms by layer, the statistics of trace estimates, and the names of layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from nmepkg.curvature import parameters, probes
from nmepkg.curvature.hutchinson import estimate, quadratic_forms
from tests import cases
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
KEY = jax.random.key(0)


def test_layers_are_paths_but_for_the_last_key():
    params = {"b": {"Conv_0": {"kernel": jnp.zeros((2, 2))}}, "a": {"bias": jnp.zeros(1), "kernel": jnp.zeros(3)}}
    params = {**params, "scale": jnp.zeros(2)}
    assert parameters.layer_names(params) == ["a", "a", "b/Conv_0", "/"]
    entries = parameters.layer_of_entries(params)
    assert len(entries) == 10
    np.testing.assert_array_equal(entries[:, None] == entries, np.kron(np.eye(3), np.ones((4, 4)))[:10, :10] == 1)


@pytest.mark.parametrize(
    ("name", "probe"),
    [(("mlp", "cross_entropy", "gelu"), "rademacher"), (("normalized", "mse", "gelu"), "gaussian")],
    ids=["mlp", "normalized"],
)
def test_quadratic_forms_are_those_of_the_diagonal_blocks_and_the_rest_of_their_rows(name, probe):
    case = cases.make(name)
    parts = curvature.linearize(case.logits, case.loss, case.params).parts
    forms = quadratic_forms(parts, case.params, KEY, probe)
    v = cases.flat(probes.draw(KEY, case.params, probe))
    for row, matrix in zip(forms, (problems.dense(part, name) for part in "GN"), strict=True):
        blocks = sorted(problems.slices(case.params).items())
        expected = [v[entries] @ (matrix @ v)[entries] for _, entries in blocks]
        np.testing.assert_allclose(row, expected, rtol=1e-9)
        np.testing.assert_allclose(row.sum(), v @ matrix @ v, rtol=1e-9)


def test_rademacher_probes_are_exact_for_a_diagonal_matrix():
    params = {"a": {"x": jnp.zeros(3)}, "b": {"x": jnp.zeros(2)}}
    diagonal = {"a": {"x": jnp.array([1.0, -2.0, 4.0])}, "b": {"x": jnp.array([0.5, 0.25])}}

    def parts(v):
        product = jax.tree.map(jnp.multiply, diagonal, v)
        return product, jax.tree.map(lambda x: -2 * x, product)

    forms = quadratic_forms(parts, params, KEY, "rademacher")
    np.testing.assert_array_equal(forms, [[3.0, 0.75], [-6.0, -1.5]])
    assert not np.allclose(quadratic_forms(parts, params, KEY, "gaussian"), forms)


def test_estimate():
    mean, error, variance = estimate(np.array([1.0, 2.0, 6.0]))
    assert (mean, variance) == (3.0, 7.0)
    assert error == pytest.approx(np.sqrt(7 / 3))
