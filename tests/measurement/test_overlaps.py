"""Overlaps with eigenspaces against dense eigendecompositions."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg.measurement.overlaps import overlaps
from tests import cases
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")

RHO = 0.3
NAMES = [f"overlap_{vector}_{part}" for part in "HG" for vector in ("g", "H", "N", "sam", "psam", "missed")]


@pytest.mark.parametrize("top", [1, 4])
@pytest.mark.parametrize("name", [("mlp", "cross_entropy", "gelu"), ("normalized", "mse", "gelu")], ids="-".join)
def test_shares_are_those_of_the_dense_eigenvectors(name, top):
    problem, batch_cases = problems.make(name, 2)
    result = overlaps(problem, top=top, steps=1000, rho=RHO)(batch_cases[0].params, {}, problems.KEY)
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    unit = g / np.linalg.norm(g)
    flat, unravel = ravel_pytree(batch_cases[0].params)
    ahead = unravel(flat + RHO * unit)
    h = problems.dense("H", name, 2)
    vectors = {
        "g": g,
        "H": h @ g,
        "N": problems.dense("N", name, 2) @ g,
        "sam": np.mean([cases.gradient(case._replace(params=ahead)) for case in batch_cases], axis=0),
        "psam": g + RHO * h @ unit,
    }
    vectors["missed"] = vectors["sam"] - vectors["psam"]
    for part in "HG":
        values, basis = np.linalg.eigh(problems.dense(part, name, 2))
        np.testing.assert_allclose(result[f"eigenvalues_{part}"], values[::-1][:top], rtol=1e-9)
        np.testing.assert_allclose(result[f"bounds_{part}"], 0, atol=1e-9)
        for vector, x in vectors.items():
            inside = basis[:, -top:].T @ x
            expected = inside @ inside / (x @ x)
            assert result[f"overlap_{vector}_{part}"] == pytest.approx(expected, rel=1e-7)
            assert 0 < expected < 1


def test_all_eigenvectors_hold_everything_and_no_vector_has_no_share():
    problem, (case,) = problems.make(("linear", "cross_entropy", "relu"))
    result = overlaps(problem, top=1000, steps=1000, rho=RHO)(case.params, {}, problems.KEY)
    assert [result[f"overlap_N_{part}"] for part in "HG"] == [0.0, 0.0]
    found = [result[f"overlap_{vector}_{part}"] for vector in ("g", "H", "sam", "psam") for part in "HG"]
    assert found == pytest.approx([1.0] * 8, rel=1e-9)
    assert max(found) <= 1


def test_fewer_steps_than_eigenvectors_and_a_diverged_model():
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    measure = overlaps(problem, top=5, steps=2, rho=RHO)
    result = measure(case.params, {}, problems.KEY)
    assert len(result["eigenvalues_H"]) == len(result["bounds_G"]) == 2
    assert all(0 <= result[name] <= 1 for name in NAMES)
    result = measure(jax.tree.map(lambda x: x * np.nan, case.params), {}, problems.KEY)
    assert np.isnan([result[name] for name in NAMES]).all()
