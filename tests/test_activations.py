"""Activations and replaced second derivatives, in every nesting of forward and reverse mode up to third order."""

from __future__ import annotations

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from nmepkg import activations
from tests.cases import ROUNDING, assert_close
from tests.interpreter import interpreted

pytestmark = pytest.mark.usefixtures("strict_promotion")

X = np.linspace(-3.7, 3.8, 16)  # no kink of a piecewise linear activation among them


def beta_gelu_derivatives(x, beta):
    """(φ, φ', φ'', φ''') of x Φ(βx), in closed form."""
    t = beta * x
    density = norm.pdf(t)
    return (
        x * norm.cdf(t),
        norm.cdf(t) + t * density,
        beta * density * (2 - t**2),
        beta**2 * density * t * (t**2 - 4),
    )


def sigmoid_derivatives(x):
    s = 1 / (1 + np.exp(-x))
    return s, s * (1 - s), s * (1 - s) * (1 - 2 * s), s * (1 - s) * (1 - 6 * s + 6 * s**2)


def silu_derivatives(x):
    s = sigmoid_derivatives(x)
    return x * s[0], s[0] + x * s[1], 2 * s[1] + x * s[2], 3 * s[2] + x * s[3]


def softplus_derivatives(x):
    return np.log1p(np.exp(x)), *sigmoid_derivatives(x)[:3]


def tanh_derivatives(x):
    t = np.tanh(x)
    return t, 1 - t**2, -2 * t * (1 - t**2), (1 - t**2) * (6 * t**2 - 2)


def leaky_derivatives(x, slope):
    return np.where(x > 0, x, slope * x), np.where(x > 0, 1.0, slope), 0 * x, 0 * x


def gaussian_derivatives(x, beta, exponent):
    """The synthetic φ'' and its derivative."""
    value = beta / np.sqrt(2 * np.pi) * np.exp(-exponent * (beta * x) ** 2)
    return value, -2 * exponent * beta**2 * x * value


def gelu_tanh_derivatives(x):
    """By the product and chain rules from u = √(2/π)(x + a x³)."""
    c, a = np.sqrt(2 / np.pi), 0.044715
    u = [c * (x + a * x**3), c * (1 + 3 * a * x**2), c * 6 * a * x, c * 6 * a + 0 * x]
    t = tanh_derivatives(u[0])
    t1 = t[1] * u[1]
    t2 = t[2] * u[1] ** 2 + t[1] * u[2]
    t3 = t[3] * u[1] ** 3 + 3 * t[2] * u[1] * u[2] + t[1] * u[3]
    return x / 2 * (1 + t[0]), (1 + t[0]) / 2 + x / 2 * t1, t1 + x / 2 * t2, 1.5 * t2 + x / 2 * t3


GELU = beta_gelu_derivatives(X, 1.0)
RELU = leaky_derivatives(X, 0.0)
GAUSSIAN = gaussian_derivatives(X, 2.0, 0.5)
LISTING = gaussian_derivatives(X, 2.0, 1.0)
replace = activations.replace_second_derivative
CASES = {
    "relu": (activations.relu, RELU),
    "leaky_relu": (partial(activations.leaky_relu, negative_slope=0.2), leaky_derivatives(X, 0.2)),
    "silu": (activations.silu, silu_derivatives(X)),
    "softplus": (activations.softplus, softplus_derivatives(X)),
    "tanh": (activations.tanh, tanh_derivatives(X)),
    "gelu": (activations.gelu, GELU),
    "gelu_tanh": (activations.gelu_tanh, gelu_tanh_derivatives(X)),
    "beta_gelu": (partial(activations.beta_gelu, beta=2.5), beta_gelu_derivatives(X, 2.5)),
    "gelu, zero": (replace(activations.gelu, activations.zero), (*GELU[:2], 0 * X, 0 * X)),
    "relu, gaussian": (
        replace(activations.relu, partial(activations.gaussian, beta=2.0)),
        (*RELU[:2], *GAUSSIAN),
    ),
    "relu, listing": (
        replace(activations.relu, partial(activations.gaussian_listing, beta=2.0)),
        (*RELU[:2], *LISTING),
    ),
    "silu, gaussian": (
        replace(activations.silu, partial(activations.gaussian, beta=2.0)),
        (*silu_derivatives(X)[:2], *GAUSSIAN),
    ),
}
MODES = {
    "forward": lambda f: lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1],
    "reverse": lambda f: lambda x: jax.vjp(f, x)[1](jnp.ones_like(x))[0],
}
NESTINGS = [modes for order in range(4) for modes in itertools.product(MODES, repeat=order)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_derivatives_up_to_third_order_in_every_nesting(name):
    phi, expected = CASES[name]
    for nesting in NESTINGS:
        f = phi
        for mode in nesting:
            f = MODES[mode](f)
        np.testing.assert_allclose(
            interpreted(f)(X), expected[len(nesting)], rtol=1e-9, atol=1e-12, err_msg=str(nesting)
        )


@pytest.mark.usefixtures("x64")
def test_replacement_holds_under_jit_vmap_and_a_traced_beta():
    phi = replace(activations.beta_gelu, activations.zero)

    @jax.jit
    def second(x, beta):
        return jax.vmap(jax.grad(jax.grad(lambda s: phi(s, beta) ** 2)))(x)

    value, slope, *_ = beta_gelu_derivatives(X, 1.5)
    np.testing.assert_allclose(second(X, 1.5), 2 * slope**2, rtol=1e-9)  # (φ²)'' = 2φ'² + 2φφ'', with φ'' := 0
    by_beta = jax.vmap(lambda b: phi(jnp.asarray(0.7), b))(jnp.asarray([1.0, 2.0]))
    np.testing.assert_allclose(by_beta, [beta_gelu_derivatives(0.7, b)[0] for b in (1.0, 2.0)], rtol=1e-12)
    assert value.shape == X.shape


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_of_the_type_of_their_argument_and_exact_to_its_rounding(name, dtype):
    """Compiled or not, of one number at a time or many. Beyond |x| = 2, 1 − tanh² cancels."""
    x = jnp.asarray(X / 2, dtype)
    derivatives = [CASES[name][0]]
    for mode in MODES.values():
        derivatives.append(mode(derivatives[-1]))
    for f in derivatives:
        expected = interpreted(f)(x.astype("float64"))
        for found in (f(x), jax.jit(f)(x), jax.vmap(f)(x)):
            assert found.dtype == dtype
            assert_close(np.append(np.float64(found), 1), np.append(expected, 1), dtype, ROUNDING)


@pytest.mark.usefixtures("x64")
def test_integrals_of_second_derivatives():
    for function, integral in [
        (jax.grad(jax.grad(partial(activations.beta_gelu, beta=2.0))), 1.0),
        (partial(activations.gaussian, beta=2.0), 1.0),
        (partial(activations.gaussian_listing, beta=2.0), 1 / np.sqrt(2)),
    ]:
        np.testing.assert_allclose(quad(jax.jit(function), -6, 6, epsabs=1e-9)[0], integral, rtol=1e-8)


def test_gelu_is_the_exact_form_of_jax():
    np.testing.assert_allclose(
        activations.gelu(jnp.asarray(X)), jax.nn.gelu(X, approximate=False), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        activations.gelu_tanh(jnp.asarray(X)), jax.nn.gelu(X, approximate=True), rtol=1e-5, atol=1e-6
    )


def test_slopes_at_zero():
    assert jax.grad(activations.relu)(0.0) == 0.0
    np.testing.assert_allclose(jax.grad(activations.gelu)(0.0), 0.5)
    np.testing.assert_allclose(jax.grad(jax.grad(activations.gelu))(0.0), 2 / np.sqrt(2 * np.pi), rtol=1e-6)


EXTREME = np.asarray([0.0, 1e-30, 1e-6, 1.0, 20.0, 1e4, 1e12, 1e30, 3e38], np.float32)


SHARP = {f"beta_gelu {beta:g}": partial(activations.beta_gelu, beta=beta) for beta in (1e-3, 1e2, 1e6)}


@pytest.mark.parametrize("name", [*CASES, *SHARP])
def test_large_beta_and_large_inputs_stay_finite_in_single_precision(name):
    phi = SHARP.get(name) or CASES[name][0]
    x = np.concatenate([EXTREME, -EXTREME])

    @jax.jit
    def derivatives(x):
        found = {}
        for nesting in NESTINGS:
            f = phi
            for mode in nesting:
                f = MODES[mode](f)
            found[nesting] = f(x)
        return found

    for nesting, found in derivatives(x).items():
        assert np.isfinite(found).all(), nesting


def test_beta_gelu_tends_to_relu():
    x = np.linspace(-2, 2, 41, dtype=np.float32)
    np.testing.assert_allclose(activations.beta_gelu(jnp.asarray(x), 1e6), np.maximum(x, 0), atol=1e-6)
