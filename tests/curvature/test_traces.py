"""Hutchinson, Hutch++, XTrace, XDiag and densities against closed forms, and against what they are defined as, written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import curvature
from nmepkg.curvature.sketches import leave_one_out
from tests import cases
from tests.curvature.dense import low_rank, operator, symmetric

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
ESTIMATORS = {"hutchpp": curvature.hutchpp, "xtrace": curvature.xtrace}
DECAYING = symmetric(1.5 ** -np.arange(60.0) - 0.3 ** np.arange(60.0) / 2, seed=3)


def basis(matrix):
    return np.linalg.qr(matrix)[0]


def written_out(matrix, omega):
    """XTrace's estimates and XDiag's, each from a basis of its own (Epperly, Tropp & Webber 2024)."""
    (size, m), traces, diagonals = omega.shape, [], []
    for i in range(m):
        Q = basis(matrix @ np.delete(omega, i, axis=1))
        rest = omega[:, i] - Q @ (Q.T @ omega[:, i])
        traces.append(np.trace(Q.T @ matrix @ Q) + (size - m + 1) / (rest @ rest) * (rest @ matrix @ rest))
        image = matrix @ omega[:, i]
        diagonals.append(np.diag(Q @ Q.T @ matrix) + omega[:, i] * (image - Q @ (Q.T @ image)))
    return np.array(traces), np.array(diagonals)


def drawn(draw, size, m):
    """The random vectors that an estimator draws with the key 5."""
    return np.asarray(draw(jax.random.key(5), (size, m), jnp.float64))


def test_xtrace_is_what_it_is_defined_as():
    normal = drawn(jax.random.normal, 60, 7)
    omega = normal * np.sqrt(60) / np.linalg.norm(normal, axis=0)
    traces, _ = written_out(DECAYING, omega)
    found = curvature.xtrace(operator(DECAYING), products=14, key=jax.random.key(5))
    assert found.value == pytest.approx(traces.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(traces.std(ddof=1) / np.sqrt(7), rel=1e-9)
    assert found.products == 14


def test_xdiag_is_what_it_is_defined_as():
    _, diagonals = written_out(DECAYING, drawn(jax.random.rademacher, 60, 7))
    found = curvature.xdiag(operator(DECAYING), products=14, key=jax.random.key(5))
    np.testing.assert_allclose(cases.flat(found.value), diagonals.mean(axis=0), rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        cases.flat(found.standard_error), diagonals.std(axis=0, ddof=1) / np.sqrt(7), rtol=0, atol=1e-13
    )
    assert set(found.value) == {"a", "b"}


def test_hutchpp_is_what_it_is_defined_as():
    first, second = jax.random.split(jax.random.key(5))
    sketch, free = (np.asarray(jax.random.rademacher(key, (60, 5), jnp.float64)) for key in (first, second))
    Q = basis(DECAYING @ sketch)
    rests = free - Q @ (Q.T @ free)
    forms = np.sum(rests * (DECAYING @ rests), axis=0)
    found = curvature.hutchpp(operator(DECAYING), products=15, key=jax.random.key(5))
    assert found.value == pytest.approx(np.trace(Q.T @ DECAYING @ Q) + forms.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(forms.std(ddof=1) / np.sqrt(5), rel=1e-9)
    assert found.products == 15


@pytest.mark.parametrize("rank", [0, 1, 4])
def test_a_low_rank_operator_is_found_itself(rank):
    """With a third of the products, or half of them less one, as its rank."""
    matrix = low_rank(100, rank)
    A = operator(matrix)
    products = {"hutchpp": max(6, 3 * rank), "xtrace": max(4, 2 * (rank + 1)), "xdiag": max(4, 2 * (rank + 1))}
    for extra in (0, 12):
        for name, estimator in ESTIMATORS.items():
            found = estimator(A, products=products[name] + extra)
            assert found.value == pytest.approx(np.trace(matrix), abs=1e-11)
            assert found.standard_error < 1e-11
        found = curvature.xdiag(A, products=products["xdiag"] + extra)
        np.testing.assert_allclose(cases.flat(found.value), np.diag(matrix), atol=1e-11)
        assert cases.flat(found.standard_error).max() < 1e-11


def test_one_product_less_is_not_enough():
    matrix = low_rank(100, 4)
    assert curvature.xtrace(operator(matrix), products=8).standard_error > 1e-3
    assert curvature.hutchpp(operator(matrix), products=9).standard_error > 1e-3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_of_a_trace_are_unbiased_and_their_errors_are_as_they_say(name):
    A, truth = operator(DECAYING), np.trace(DECAYING)
    found = [ESTIMATORS[name](A, products=18, key=jax.random.key(seed)) for seed in range(60)]
    values, errors = (np.array([getattr(one, what) for one in found]) for what in ("value", "standard_error"))
    assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(60)
    # Of m estimates that are not quite independent: within a factor of two.
    assert 0.5 < np.sqrt(np.mean(errors**2)) / values.std(ddof=1) < 2


def test_estimates_of_a_diagonal_are_unbiased():
    A = operator(DECAYING)
    found = [cases.flat(curvature.xdiag(A, products=18, key=jax.random.key(seed)).value) for seed in range(60)]
    errors = (np.mean(found, axis=0) - np.diag(DECAYING)) / (np.std(found, axis=0, ddof=1) / np.sqrt(60))
    assert np.abs(errors).max() < 5
    assert 0.5 < np.mean(errors**2) < 2


def test_they_win_where_few_eigenvalues_carry_the_trace():
    """The same products: errors of Hutch++ and XTrace are a tenth of Hutchinson's, and less."""
    A = operator(symmetric(1.3 ** -np.arange(100.0)))
    plain = curvature.trace(A, precision=0.0, max_samples=60).standard_error
    assert curvature.hutchpp(A, products=60).standard_error < plain / 10
    assert curvature.xtrace(A, products=60).standard_error < plain / 100


def test_few_parameters_are_taken_one_by_one():
    matrix = symmetric(np.arange(5.0))
    for estimator in ESTIMATORS.values():
        found = estimator(operator(matrix), products=6)
        assert found == (pytest.approx(10, rel=1e-13), 0.0, 5)
    diagonal = curvature.xdiag(operator(matrix), products=6)
    np.testing.assert_allclose(cases.flat(diagonal.value), np.diag(matrix), rtol=1e-13)
    assert cases.flat(diagonal.standard_error).max() == 0


@pytest.mark.parametrize("precision", [0.3, 0.1, 0.03])
def test_hutchinson_goes_on_until_it_is_precise_enough(precision):
    matrix = symmetric(np.random.default_rng(0).uniform(size=50))
    variance = 2 * (np.linalg.norm(matrix) ** 2 - np.linalg.norm(np.diag(matrix)) ** 2)
    found = curvature.trace(operator(matrix), precision=precision, max_samples=5000)
    needed = variance / (precision * np.trace(matrix)) ** 2
    assert found.standard_error <= precision * found.value
    assert abs(found.value - np.trace(matrix)) < 4 * np.sqrt(variance / found.products)
    assert found.products == 20 or 0.5 * needed < found.products < 2 * needed + 10


def test_hutchinson_ends_where_no_precision_can_be_reached():
    matrix = symmetric(np.concatenate([np.ones(20), -np.ones(20)]))
    found = curvature.trace(operator(matrix), max_samples=45)
    assert found.products == 45
    assert found.standard_error > 0.01 * abs(found.value)
    assert abs(found.value) < 4 * found.standard_error
    assert curvature.trace(operator(matrix), max_samples=3).products == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_in_other_types(dtype):
    matrix = low_rank(100, 3)
    A = operator(jnp.asarray(matrix, dtype))
    tolerance = 100 * float(jnp.finfo(dtype).eps)
    for estimator in ESTIMATORS.values():
        assert estimator(A, products=12).value == pytest.approx(np.trace(matrix), abs=tolerance)
    assert curvature.trace(A, precision=0.1).standard_error < 1
    np.testing.assert_allclose(
        cases.flat(curvature.xdiag(A, products=12).value).astype(float), np.diag(matrix), atol=tolerance
    )


def test_leaving_one_out():
    """Q (I − s sᵀ) Qᵀ projects on the other columns; where columns are dependent, on what they span at least."""
    rng = np.random.default_rng(0)
    for columns in (rng.normal(size=(9, 4)), rng.normal(size=(9, 2)) @ rng.normal(size=(2, 4)), np.zeros((9, 4))):
        Q, R = np.linalg.qr(columns)
        S = leave_one_out(R)
        np.testing.assert_allclose(np.linalg.norm(S, axis=0), 1)
        for i in range(4):
            projection = Q @ (np.eye(4) - np.outer(S[:, i], S[:, i])) @ Q.T
            others = np.delete(columns, i, axis=1)
            np.testing.assert_allclose(projection @ others, others, atol=1e-12)


def test_of_a_network():
    case = cases.shallow()
    logits_fn, loss_fn = (lambda p, b: case.logits_fn(p, b[0])[0]), (lambda z, b: case.loss_fn(z, b[1]))
    for part, oracle in (("H", cases.dense_hessian), ("G", cases.dense_gauss_newton)):
        A, matrix = curvature.operator(part, logits_fn, loss_fn, case.params, case.batch), np.asarray(oracle(case))
        for found in (
            *(estimator(A, products=24) for estimator in ESTIMATORS.values()),
            curvature.trace(A, precision=0.1),
        ):
            assert abs(found.value - np.trace(matrix)) < 5 * found.standard_error + 1e-12
        diagonal = curvature.xdiag(A, products=24)
        errors = np.abs(cases.flat(diagonal.value) - np.diag(matrix))
        assert (errors < 6 * cases.flat(diagonal.standard_error) + 1e-12).mean() > 0.95


def test_a_density_has_the_moments_of_the_spectrum():
    truth = np.random.default_rng(0).normal(size=80)
    found = curvature.density(operator(symmetric(truth)), steps=4, samples=60)
    for power in range(1, 8):  # fewer than twice the steps: the quadrature is exact
        mean, error = found.mean(lambda x, power=power: x**power)
        assert abs(mean - np.mean(truth**power)) < 4 * error
    mean, error = found.mean(np.ones_like)
    assert mean == pytest.approx(1)
    assert error < 1e-12


def test_a_density_is_that_of_the_broadened_eigenvalues():
    truth = np.random.default_rng(0).normal(size=80)
    places, width = np.linspace(-4, 4, 201), 0.3
    found, errors = curvature.density(operator(symmetric(truth)), steps=40, samples=40).at(places, width)
    expected = np.exp(-0.5 * ((places[:, None] - truth) / width) ** 2).mean(axis=1) / (width * np.sqrt(2 * np.pi))
    assert (np.abs(found - expected) < 5 * errors + 1e-6).all()
    assert np.sum(found) * (places[1] - places[0]) == pytest.approx(1, abs=1e-3)
    assert 0 < errors.max() < 0.05


def test_what_makes_no_sense_is_refused():
    A = operator(np.eye(40))
    for call, message in (
        (lambda: curvature.trace(A, max_samples=1), "max_samples"),
        (lambda: curvature.hutchpp(A, products=5), "Hutch"),
        (lambda: curvature.xtrace(A, products=3), "XTrace"),
        (lambda: curvature.xdiag(A, products=3), "XDiag"),
        (lambda: curvature.density(A, samples=1), "samples"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
