"""Operators in lineax's solvers, and XTrace and XDiag against matfree's, of the same random vectors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from tests import cases
from tests.curvature.dense import operator, symmetric

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("x64")]
DECAYING = symmetric(1.5 ** -np.arange(60.0) - 0.3 ** np.arange(60.0) / 2, seed=3)


@pytest.fixture
def lineax():
    return pytest.importorskip("lineax")


@pytest.fixture
def stochtrace():
    return pytest.importorskip("matfree.stochtrace")


@pytest.mark.parametrize("only", [None, "0"])
def test_lineax_solves_with_the_damped_gauss_newton_matrix(lineax, only):
    """A step of damped Gauss-Newton, (G + λI) x = g, by conjugate gradients on pytrees, inside a compiled function."""
    case = cases.shallow()
    halves = [jax.tree.map(lambda x: x[:4], case.batch), jax.tree.map(lambda x: x[4:], case.batch)]
    logits_fn, loss_fn = (lambda p, b: case.logits_fn(p, b[0])[0]), (lambda z, b: case.loss_fn(z, b[1]))
    G = curvature.operator("G", logits_fn, loss_fn, case.params, halves, only=only)
    g = G.unravel(np.random.default_rng(0).normal(size=G.size))

    @jax.jit
    def solve(g):
        A = G.as_lineax(lineax.positive_semidefinite_tag)
        damped = A + lineax.TaggedLinearOperator(
            0.1 * lineax.IdentityLinearOperator(A.in_structure()), lineax.positive_semidefinite_tag
        )
        return lineax.linear_solve(damped, g, lineax.CG(rtol=1e-12, atol=1e-12, max_steps=500)).value

    matrix = np.asarray(G @ np.eye(G.size))
    expected = np.linalg.solve(matrix + 0.1 * np.eye(G.size), cases.flat(g))
    np.testing.assert_allclose(cases.flat(solve(g)), expected, rtol=1e-8, atol=1e-10)


def test_lineax_has_the_same_matrix_and_knows_it_as_symmetric(lineax):
    A = operator(DECAYING)
    found = (2 * A).as_lineax()
    assert lineax.is_symmetric(found)
    np.testing.assert_allclose(found.as_matrix(), 2 * DECAYING, atol=1e-14)


def test_lineax_is_not_given_a_loader(lineax):
    case = cases.shallow()

    class Loader:
        def __iter__(self):
            return iter([case.batch])

    logits_fn, loss_fn = (lambda p, b: case.logits_fn(p, b[0])[0]), (lambda z, b: case.loss_fn(z, b[1]))
    A = curvature.operator("G", logits_fn, loss_fn, case.params, Loader())
    with pytest.raises(ValueError, match="give a list of batches in place of a loader"):
        (A + A).as_lineax()


@pytest.mark.parametrize("m", [2, 7, 15])
def test_xtrace_is_matfree_s(stochtrace, m):
    normal = jax.random.normal(jax.random.key(5), (60, m))
    samples = (normal * (60**0.5 / jnp.linalg.norm(normal, axis=0))).T
    estimate = stochtrace.estimator_leave_one_out(stochtrace.leave_one_out_xtrace(), lambda key: samples)
    expected = estimate(lambda v: DECAYING @ v, None)
    found = curvature.xtrace(operator(DECAYING), products=2 * m, key=jax.random.key(5))
    assert found.value == pytest.approx(float(expected), rel=1e-11)


@pytest.mark.parametrize("m", [2, 7, 15])
def test_xdiag_is_matfree_s(stochtrace, m):
    samples = jax.random.rademacher(jax.random.key(5), (60, m), jnp.float64).T
    estimate = stochtrace.estimator_leave_one_out(stochtrace.leave_one_out_xdiag(), lambda key: samples)
    expected = estimate(lambda v: DECAYING @ v, None)
    found = curvature.xdiag(operator(DECAYING), products=2 * m, key=jax.random.key(5))
    np.testing.assert_allclose(cases.flat(found.value), expected, rtol=0, atol=1e-12)
