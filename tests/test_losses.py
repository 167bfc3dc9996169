"""Losses against their textbook forms, and the accuracy of the NME near interpolation."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax

from nmepkg import activations, curvature, losses


def _random(rng, batch=5, classes=4, scale=1.0):
    return rng.normal(size=(batch, classes)) * scale, rng.integers(classes, size=batch)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("smoothing", "scale"), itertools.product([0.0, 0.1, 0.5], [0.1, 1.0, 30.0]))
def test_cross_entropy_is_the_textbook_one(smoothing, scale):
    z, y = _random(np.random.default_rng(0), scale=scale)
    targets = (1 - smoothing) * np.eye(4)[y] + smoothing / 4
    expected = -np.mean(np.sum(targets * log_softmax(z, axis=1), axis=1))
    np.testing.assert_allclose(losses.cross_entropy(z, y, smoothing), expected, rtol=1e-12)
    peer = optax.softmax_cross_entropy(z, jnp.asarray(targets)).mean()
    np.testing.assert_allclose(losses.cross_entropy(z, y, smoothing), peer, rtol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_derivatives_of_cross_entropy_in_the_logits(smoothing):
    z, y = _random(np.random.default_rng(1))
    p, targets = softmax(z, axis=1), (1 - smoothing) * np.eye(4)[y] + smoothing / 4
    gradient = jax.grad(losses.cross_entropy)(z, y, smoothing)
    np.testing.assert_allclose(gradient, (p - targets) / len(y), rtol=1e-10, atol=1e-14)
    hessian = jax.hessian(losses.cross_entropy)(z, y, smoothing)
    expected = np.einsum("ab,ai,ij->aibj", np.eye(5), p, np.eye(4)) - np.einsum("ab,ai,bj->aibj", np.eye(5), p, p)
    np.testing.assert_allclose(hessian, expected / len(y), rtol=1e-10, atol=1e-14)


@pytest.mark.usefixtures("x64")
def test_mse_takes_labels_or_targets():
    z, y = _random(np.random.default_rng(2))
    targets = np.eye(4)[y]
    expected = 0.5 * np.mean(np.sum((z - targets) ** 2, axis=1))
    np.testing.assert_allclose(losses.mse(z, y), expected, rtol=1e-12)
    np.testing.assert_allclose(losses.mse(z, jnp.asarray(targets)), expected, rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(losses.mse)(z[:1], y[:1]).reshape(4, 4), np.eye(4))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_extreme_logits_stay_finite(smoothing):
    z = jnp.asarray([[1e30, -1e30, 0.0], [-1e30, 1e30, 0.0], [200.0, 0.0, -200.0]], jnp.float32)
    y = jnp.asarray([0, 0, 0])
    value, gradient = jax.value_and_grad(losses.cross_entropy)(z, y, smoothing)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.isfinite(jax.jvp(jax.grad(losses.cross_entropy), (z, y, smoothing), (jnp.ones_like(z), np.zeros(3, jax.dtypes.float0), 0.0))[1]).all()


def test_residual_of_the_label_is_accurate_where_the_loss_is_tiny():
    z = jnp.asarray([[18.0, 0.0, 1.0, -1.0]], jnp.float32)
    y = jnp.asarray([0])
    stable = np.asarray(jax.grad(losses.cross_entropy)(z, y))[0]
    p = softmax(np.asarray(z[0], np.float64))
    np.testing.assert_allclose(stable, [-p[1:].sum(), *p[1:]], rtol=1e-5)


@pytest.mark.parametrize("target_loss", [1e-6, 1e-7])
def test_nme_is_accurate_near_interpolation_in_single_precision(target_loss):
    """Relative error of N v against double precision ≤ 1e-4 at a loss of 1e-6; softmax minus one-hot fails by far."""

    def problem(dtype):
        rng = np.random.default_rng(3)
        shapes = [(6, 16), (16, 16), (16, 4)]
        params = [jnp.asarray(rng.normal(size=s) / np.sqrt(s[0]), dtype) for s in shapes]
        x = jnp.asarray(rng.normal(size=(32, 6)), dtype)
        v = [jnp.asarray(rng.normal(size=s), dtype) for s in shapes]

        def features(p):
            for w in p[:-1]:
                x_ = activations.gelu((x if w is p[0] else x_) @ w)
            return x_ @ p[-1]

        labels = jnp.argmax(features(params), axis=1)
        # Logits are scaled so far that the mean loss is the target: found in double precision by bisection.
        return params, v, features, labels

    jax.config.update("jax_enable_x64", True)
    try:
        params, v, features, labels = problem(jnp.float64)
        z = features(params)
        gap = jnp.sort(z, axis=1)
        shift = 0.05 * jax.nn.one_hot(labels, 4)  # keep the smallest margin away from 0
        low, high = 0.0, 1e4
        for _ in range(200):
            scale = (low + high) / 2
            low, high = (scale, high) if losses.cross_entropy(scale * (z + shift), labels) > target_loss else (low, scale)
        exact = curvature.nmevp(lambda p: scale * (features(p) + shift), lambda z: losses.cross_entropy(z, labels), params, v)
        exact = np.concatenate([np.ravel(leaf) for leaf in exact])
        assert gap.shape == (32, 4)
        np.testing.assert_allclose(losses.cross_entropy(scale * (z + shift), labels), target_loss, rtol=1e-6)
    finally:
        jax.config.update("jax_enable_x64", False)

    params, v, features, labels = problem(jnp.float32)

    def relative_error(loss_fn):
        n = curvature.nmevp(lambda p: scale * (features(p) + shift.astype(jnp.float32)), lambda z: loss_fn(z, labels), params, v)
        n = np.concatenate([np.ravel(leaf) for leaf in n])
        return np.linalg.norm(n - exact) / np.linalg.norm(exact)

    def textbook(z, labels):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))

    print(relative_error(losses.cross_entropy), relative_error(textbook))
    assert relative_error(losses.cross_entropy) < 1e-4
    assert relative_error(textbook) > 1e-3
