"""Losses against their textbook forms, and the accuracy of the NME near interpolation."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from nmepkg import activations, curvature, losses
from tests.cases import ROUNDING, assert_close
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion")


def _random(rng, batch=5, classes=4, scale=1.0):
    return rng.normal(size=(batch, classes)) * scale, rng.integers(classes, size=batch)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("smoothing", "scale"), list(itertools.product([0.0, 0.1, 0.5], [0.1, 1.0, 30.0])))
def test_cross_entropy_is_the_textbook_one(smoothing, scale):
    z, y = _random(np.random.default_rng(0), scale=scale)
    targets = (1 - smoothing) * np.eye(4)[y] + smoothing / 4
    expected = -np.mean(np.sum(targets * log_softmax(z, axis=1), axis=1))
    found = interpreted(lambda z, y: losses.cross_entropy(z, y, smoothing))(z, y)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    peer = interpreted(lambda z, targets: optax.softmax_cross_entropy(z, targets).mean())(z, targets)
    np.testing.assert_allclose(found, peer, rtol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_derivatives_of_cross_entropy_in_the_logits(smoothing):
    z, y = _random(np.random.default_rng(1))
    p, targets = softmax(z, axis=1), (1 - smoothing) * np.eye(4)[y] + smoothing / 4

    def loss(z):
        return losses.cross_entropy(z, y, smoothing)

    gradient = interpreted(jax.grad(loss))(z)
    np.testing.assert_allclose(gradient, (p - targets) / len(y), rtol=1e-10, atol=1e-14)
    hessian = interpreted(jax.hessian(loss))(z)
    expected = np.einsum("ab,ai,ij->aibj", np.eye(5), p, np.eye(4)) - np.einsum("ab,ai,bj->aibj", np.eye(5), p, p)
    np.testing.assert_allclose(hessian, expected / len(y), rtol=1e-10, atol=1e-14)


@pytest.mark.usefixtures("x64")
def test_mse_takes_labels_or_targets():
    z, y = _random(np.random.default_rng(2))
    targets = np.eye(4)[y]
    expected = 0.5 * np.mean(np.sum((z - targets) ** 2, axis=1))
    np.testing.assert_allclose(interpreted(losses.mse)(z, y), expected, rtol=1e-12)
    np.testing.assert_allclose(interpreted(losses.mse)(z, targets), expected, rtol=1e-12)
    np.testing.assert_allclose(interpreted(jax.hessian(losses.mse))(z[:1], y[:1]).reshape(4, 4), np.eye(4))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_extreme_logits_stay_finite(smoothing):
    z = jnp.asarray([[1e30, -1e30, 0.0], [-1e30, 1e30, 0.0], [200.0, 0.0, -200.0]], jnp.float32)

    def loss(z):
        return losses.cross_entropy(z, jnp.asarray([0, 0, 0]), smoothing)

    for found in jax.jit(lambda z: (loss(z), jax.grad(loss)(z), jax.hessian(loss)(z)))(z):
        assert np.isfinite(found).all()


def test_residual_of_the_label_is_accurate_where_the_loss_is_tiny():
    z = jnp.asarray([[18.0, 0.0, 1.0, -1.0]], jnp.float32)
    stable = np.asarray(jax.grad(losses.cross_entropy)(z, jnp.asarray([0])))[0]
    p = softmax(np.asarray(z[0], np.float64))
    np.testing.assert_allclose(stable, [-p[1:].sum(), *p[1:]], rtol=1e-5)


def _textbook(z, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))


@functools.partial(jax.jit, static_argnums=0)
def _nme_product_and_loss(loss_fn, params, v, x, shift, labels, scale):
    def logits_fn(p):
        return scale * (_features(p, x) + shift)

    return curvature.nmevp(logits_fn, lambda z: loss_fn(z, labels), params, v), loss_fn(logits_fn(params), labels)


def _features(p, x):
    return activations.gelu(activations.gelu(x @ p[0]) @ p[1]) @ p[2]


def _nme_product(loss_fn, scale, dtype):
    """(N v, loss) of a small GELU network whose logits are scaled until it interpolates its own predictions."""
    rng = np.random.default_rng(3)
    shapes = [(6, 16), (16, 16), (16, 4)]
    params = [jnp.asarray(rng.normal(size=s) / np.sqrt(s[0]), dtype) for s in shapes]
    v = [jnp.asarray(rng.normal(size=s), dtype) for s in shapes]
    x = jnp.asarray(rng.normal(size=(32, 6)), dtype)
    labels = np.argmax(jax.jit(_features)(params, x), axis=1)
    shift = jnp.asarray(0.05 * np.eye(4)[labels], dtype)  # keeps the smallest margin away from 0
    n, loss = _nme_product_and_loss(loss_fn, params, v, x, shift, labels, jnp.asarray(scale, dtype))
    return np.concatenate([np.ravel(leaf) for leaf in n]), float(loss)


@pytest.mark.parametrize("loss", [1e-6, 1e-7])
def test_nme_is_accurate_near_interpolation_in_single_precision(loss):
    """Relative error of N v against double precision ≤ 1e-4 at a loss of 1e-6; softmax minus one-hot fails by far."""
    with jax.enable_x64(True):
        scale = brentq(
            lambda s: np.log(_nme_product(losses.cross_entropy, s, jnp.float64)[1] / loss), 1.0, 1e3, xtol=1e-3
        )
        exact, reached = _nme_product(losses.cross_entropy, scale, jnp.float64)
    np.testing.assert_allclose(reached, loss, rtol=1e-2)

    def relative_error(loss_fn):
        return np.linalg.norm(_nme_product(loss_fn, scale, jnp.float32)[0] - exact) / np.linalg.norm(exact)

    assert relative_error(losses.cross_entropy) < 1e-4
    assert relative_error(_textbook) > 1e-3


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, None])
def test_losses_are_of_the_type_of_their_logits_and_exact_to_its_rounding(smoothing, dtype):
    """With gradients and Hessian products, compiled or not, of one batch or many at a time; no smoothing: squares."""
    rng = np.random.default_rng(6)
    z, v = (jnp.asarray(rng.normal(size=(2, 5, 4)), dtype) for _ in range(2))
    labels = jnp.asarray(rng.integers(4, size=(2, 5)))

    def all_of(z, labels, v):
        loss = losses.mse if smoothing is None else functools.partial(losses.cross_entropy, label_smoothing=smoothing)
        gradient = jax.grad(loss)
        return loss(z, labels), gradient(z, labels), jax.jvp(lambda z: gradient(z, labels), (z,), (v,))[1]

    together = jax.jit(jax.vmap(all_of))(z, labels, v)
    for i in range(2):
        exact = interpreted(all_of)(z[i].astype("float64"), labels[i], v[i].astype("float64"))
        for found in (all_of(z[i], labels[i], v[i]), [leaf[i] for leaf in together]):
            for one, expected in zip(found, exact, strict=True):
                assert one.dtype == dtype
                assert_close(one, expected, dtype, ROUNDING)


def _mean_log_loss(z, y):
    return -np.mean(np.take_along_axis(log_softmax(z, axis=-1), y[..., None], axis=-1))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("shape", [(2, 4), (2, 1), (3, 2, 5)])
def test_losses_of_tokens_are_means_over_all_of_them(shape):
    rng = np.random.default_rng(4)
    z, y = rng.normal(size=(*shape, 4)), rng.integers(4, size=shape)
    np.testing.assert_allclose(interpreted(losses.cross_entropy)(z, y), _mean_log_loss(z, y), rtol=1e-12)
    expected = 0.5 * np.mean(np.sum((z - np.eye(4)[y]) ** 2, axis=-1))
    np.testing.assert_allclose(interpreted(losses.mse)(z, y), expected, rtol=1e-12)


_with_gradient = functools.cache(lambda loss: jax.jit(jax.value_and_grad(loss)))


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.mse])
@pytest.mark.parametrize("label", [-1, -4, 4, 127])
@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_a_label_that_names_no_class_shows_in_the_loss_and_its_gradient(loss, label, dtype):
    z, y = jnp.asarray(np.random.default_rng(5).normal(size=(3, 4)), jnp.float32), jnp.asarray([1, 2, label], dtype)
    value, gradient = _with_gradient(loss)(z, y)
    assert np.isnan(value)
    assert np.isnan(gradient[2]).all()


def test_padding_shows_where_classes_are_more_than_the_labels_type_can_count():
    assert np.isnan(losses.cross_entropy(jnp.zeros((1, 200)), jnp.asarray([-1], jnp.int8)))


Z = np.zeros((5, 3), np.float32)
REFUSED = {
    "one logit": (losses.cross_entropy, Z[:, :1], np.zeros(5, int), ValueError, "two classes or more, and there is 1"),
    "one logit, squared": (losses.mse, Z[:, :1], np.zeros(5, int), ValueError, "two classes or more"),
    "labels that are no integers": (losses.cross_entropy, Z, np.zeros(5), TypeError, "needs integer labels"),
    "labels as targets": (
        losses.cross_entropy,
        Z,
        np.zeros((5, 3), int),
        ValueError,
        r"labels \(5,\), and they are \(5, 3\)",
    ),
    "labels with an axis": (losses.cross_entropy, Z, np.zeros((5, 1), int), ValueError, r"labels \(5,\)"),
    "labels of others": (losses.cross_entropy, Z, np.zeros(4, int), ValueError, r"labels \(5,\)"),
    "whole numbers": (losses.cross_entropy, Z.astype(int), np.zeros(5, int), TypeError, "floating-point"),
    "no axis of examples": (losses.mse, Z[0], np.zeros(3), ValueError, "an axis of examples"),
    "two heads": (losses.cross_entropy, (Z, Z), np.zeros((2, 5), int), TypeError, "one array, not a tuple"),
    "targets without an axis": (losses.mse, Z[:, :1], np.zeros(5), ValueError, r"write targets\[\.\.\., None\]"),
    "targets that would be broadcast": (losses.mse, Z, np.zeros((5, 1)), ValueError, "targets of that shape"),
    "targets that are flags": (losses.mse, Z, np.zeros((5, 3), bool), TypeError, "real targets"),
    "complex targets": (losses.mse, Z, np.zeros((5, 3), complex), TypeError, "real targets"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_is_no_batch(case):
    loss, z, y, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        jax.eval_shape(loss, z, y) if not isinstance(z, tuple) else loss(z, y)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_refuses_a_smoothing_that_is_none(smoothing):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        losses.cross_entropy(Z, np.zeros(5, int), smoothing)


@pytest.mark.usefixtures("x64")
def test_a_mask_that_leaves_the_true_class_alone():
    """Loss 0 and no derivatives of any order from that example; the textbook's from the others."""
    mask, labels = jnp.asarray([[True, False, False], [True, True, False], [True, True, True]]), jnp.asarray([0, 1, 2])
    theta = jnp.asarray([1.0, 2.0, 0.5])

    def loss(theta, mask=mask, labels=labels):
        return losses.cross_entropy(jnp.where(mask, theta, -jnp.inf), labels)

    expected_loss, expected, hessian = 0.0, np.zeros(3), np.zeros((3, 3))
    for allowed, label in zip(np.asarray(mask), np.asarray(labels), strict=True):
        p = np.where(allowed, np.exp(theta), 0)
        p /= p.sum()
        expected_loss -= np.log(p[label]) / 3
        expected += (p - np.eye(3)[label]) / 3
        hessian += (np.diag(p) - np.outer(p, p)) / 3
    np.testing.assert_allclose(interpreted(loss)(theta), expected_loss, rtol=1e-12)
    np.testing.assert_allclose(interpreted(jax.grad(loss))(theta), expected, atol=1e-14)
    np.testing.assert_allclose(interpreted(jax.hessian(loss))(theta), hessian, atol=1e-14)
    third = jax.jit(lambda mask, labels: jax.jacfwd(jax.hessian(lambda t: loss(t, mask, labels)))(theta))
    assert np.isfinite(third(mask, labels)).all()
    np.testing.assert_array_equal(third(mask[:1], labels[:1]), 0)


def test_smoothing_over_a_class_that_is_left_out_has_no_finite_loss():
    z = jnp.asarray([[1.0, -jnp.inf, 0.0]])
    assert losses.cross_entropy(z, jnp.asarray([0]), 0.1) == np.inf
    assert not np.isfinite(losses.cross_entropy(z, jnp.asarray([1])))
