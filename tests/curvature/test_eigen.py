"""Eigenpairs at both ends against dense eigendecompositions: restarts, copies, bounds, tolerances."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from tests import cases
from tests.curvature.dense import operator, symmetric

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
NORMAL = np.random.default_rng(0).normal(size=200)
SPECTRA = {
    "isolated": np.concatenate([NORMAL, [9, 8, 7, -5, -6]]),
    "bulk": NORMAL,
    "copies": np.concatenate([np.zeros(150), np.full(4, 3.0), np.linspace(-1, 1, 46)]),
    "low rank": np.concatenate([np.zeros(190), 1.0 + np.arange(10)]),
    "positive": np.abs(NORMAL) + 1,
    "small": np.arange(3.0),
    "identity": np.ones(12),
    "zero": np.zeros(12),
}


def check(found, matrix, truth, top, bottom, dtype="float64"):
    """Values, vectors and bounds against the matrix."""
    eps = float(np.finfo(dtype).eps)
    scale = np.abs(truth).max() or 1.0
    ordered = np.sort(truth)[::-1]
    np.testing.assert_allclose(
        found.values, np.concatenate([ordered[:top], ordered[len(truth) - bottom :]]), rtol=0, atol=500 * eps * scale
    )
    vectors = np.stack([cases.flat(v) for v in found.vectors]).astype(np.float64)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(top + bottom), atol=500 * eps)
    residuals = np.linalg.norm(vectors @ matrix - found.values[:, None] * vectors, axis=1)
    np.testing.assert_allclose(found.bounds, residuals, rtol=1e-3, atol=100 * eps * scale)
    assert found.converged.all()


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(("top", "bottom"), [(1, 0), (0, 2), (3, 3)])
def test_the_ends_of_a_spectrum(spectrum, top, bottom):
    truth = SPECTRA[spectrum]
    if top + bottom > len(truth):
        top, bottom = 2, 1
    matrix = symmetric(truth)
    check(curvature.eigenpairs(operator(matrix), top, bottom, tolerance=1e-13), matrix, truth, top, bottom)


def test_all_of_it():
    truth = np.array([-3.0, 1.0, 2.0, 2.0, 2.0, 7.0])
    matrix = symmetric(truth)
    check(curvature.eigenpairs(operator(matrix), 4, 2, tolerance=1e-13), matrix, truth, 4, 2)


def test_in_single_precision():
    truth = SPECTRA["copies"]
    matrix = symmetric(truth).astype(np.float32)
    found = curvature.eigenpairs(operator(matrix), 5, 1, tolerance=0.0)
    check(found, matrix.astype(np.float64), truth, 5, 1, "float32")


def test_a_looser_tolerance_takes_fewer_products_and_is_kept():
    A = operator(symmetric(NORMAL))
    found = [curvature.eigenpairs(A, 2, tolerance=tolerance) for tolerance in (1e-2, 1e-12)]
    assert found[0].products < found[1].products
    for pairs, tolerance in zip(found, (1e-2, 1e-12), strict=True):
        assert (pairs.bounds <= tolerance * np.abs(NORMAL).max()).all()
        distance = np.abs(pairs.values[:, None] - NORMAL).min(axis=1)
        assert (distance <= pairs.bounds + 1e-12).all()


def test_what_has_not_converged_says_so():
    found = curvature.eigenpairs(operator(symmetric(NORMAL)), 2, tolerance=1e-12, steps=5, restarts=1)
    assert not found.converged.any()
    assert (np.abs(found.values[:, None] - NORMAL).min(axis=1) <= found.bounds).all()
    assert (found.bounds > 1e-12).all()


def test_restarts_cost_little_beside_one_long_run():
    """Thick restarts keep what a run has learnt: a few times the products of a run without any, in a tenth of the memory."""
    matrix = symmetric(np.linspace(0, 1, 400))
    found = curvature.eigenpairs(operator(matrix), 1, tolerance=1e-6, steps=20)
    run = curvature.lanczos(
        operator(matrix).matvec, operator(matrix).unravel(np.random.default_rng(1).normal(size=400)), 200
    )
    bounds = [
        curvature.ritz(curvature.Lanczos(run.basis[:k], run.diagonal[:k], run.off_diagonal[:k])).bounds[-1]
        for k in (50, 100, 200)
    ]
    assert found.converged.all()
    assert found.products < 4 * next(k for k, bound in zip((50, 100, 200), bounds, strict=True) if bound < 1e-6)


@pytest.mark.parametrize("part", ["H", "G", "N"])
def test_of_a_network_and_of_its_layers(part):
    case = cases.shallow()
    oracle = {"H": cases.dense_hessian, "G": cases.dense_gauss_newton, "N": cases.dense_nme}[part](case)
    of_layer = np.repeat([0, 1], [sum(np.size(leaf) for leaf in layer.values()) for layer in case.params])
    logits_fn, loss_fn = (lambda p, b: case.logits_fn(p, b[0])[0]), (lambda z, b: case.loss_fn(z, b[1]))
    for only, places in ((None, of_layer >= 0), ("0", of_layer == 0)):
        A = curvature.operator(part, logits_fn, loss_fn, case.params, case.batch, only=only)
        block = np.asarray(oracle)[np.ix_(places, places)]
        check(curvature.eigenpairs(A, 2, 2, tolerance=1e-13), block, np.linalg.eigvalsh(block), 2, 2)


def test_what_makes_no_sense_is_refused():
    A = operator(np.eye(4))
    for top, bottom in ((0, 0), (-1, 2), (3, 2)):
        with pytest.raises(ValueError, match="from 1 to 4 eigenvalues"):
            curvature.eigenpairs(A, top, bottom)
    with pytest.raises(FloatingPointError, match="not finite"):
        curvature.eigenpairs(operator(np.full((4, 4), np.nan)))


def test_other_keys_find_the_same():
    matrix = symmetric(SPECTRA["isolated"])
    found = [curvature.eigenpairs(operator(matrix), 2, key=jax.random.key(seed), tolerance=1e-12) for seed in (1, 2)]
    np.testing.assert_allclose(found[0].values, found[1].values, rtol=1e-12)
    for v, w in zip(found[0].vectors, found[1].vectors, strict=True):
        np.testing.assert_allclose(abs(jnp.vdot(cases.raveled(v), cases.raveled(w))), 1, rtol=1e-10)
