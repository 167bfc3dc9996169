"""Programs as NumPy computes them against XLA's, of every method and matrix that are tested so."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import cases
from tests.cases import METHODS
from tests.interpreter import interpreted
from tests.methods.test_methods import step

pytestmark = pytest.mark.usefixtures("strict_promotion", "x64")
PROGRAMS = {
    "methods": (("linear", "smoothed", "relu"), [partial(step, method, strength=0.3) for method in METHODS]),
    "a method": (("normalized", "cross_entropy", "gelu"), [partial(step, "hessian_trace", strength=0.3)]),
    "matrices": (("attention", "mse", "tanh"), [cases.dense_hessian, cases.dense_gauss_newton, cases.dense_nme]),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_that_of_xla(program):
    name, functions = PROGRAMS[program]
    case = cases.make(name)

    def outputs(params):
        return [function(case=case._replace(params=params)) for function in functions]

    found, expected = interpreted(outputs)(case.params), jax.jit(outputs)(case.params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), found) == jax.tree.map(lambda x: (x.shape, x.dtype), expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), found, expected)


ARGUMENTS = np.linspace(-2.1, 2.3, 12).reshape(3, 4), np.linspace(0.2, 1.7, 12).reshape(3, 4), np.arange(-6, 6)
OPERATIONS = {
    "arithmetic": lambda x, y, whole: (
        x + y,
        x - y,
        x * y,
        x / y,
        -x,
        x**3,
        x**-2,
        jnp.power(y, x),
        whole // 4,
        whole % 4,
    ),
    "functions": lambda x, y, whole: [
        f(x)
        for f in (
            jnp.exp,
            jnp.expm1,
            jnp.tanh,
            jnp.sign,
            jnp.square,
            jnp.abs,
            jax.nn.sigmoid,
            jax.lax.erf,
            jax.lax.erfc,
        )
    ],
    "functions of what is positive": lambda x, y, whole: [f(y) for f in (jnp.log, jnp.log1p, jnp.sqrt, jax.lax.rsqrt)],
    "comparisons": lambda x, y, whole: (
        x < y,
        x <= y,
        x > y,
        x >= y,
        x == y,
        x != y,
        ~(x > y),
        (x > 0) & (y > 1) | (x < -1),
    ),
    "choices": lambda x, y, whole: (jnp.where(x > y, x, y), jnp.maximum(x, y), jnp.minimum(x, y), jnp.isfinite(x / 0)),
    "sums": lambda x, y, whole: [f(x, axis=axis) for f in (jnp.sum, jnp.max, jnp.min) for axis in (None, 0, 1)],
    "sums of none": lambda x, y, whole: (
        x[:0].sum(),
        x[:0].sum(0),
        x[:0].max(0, initial=-2.0),
        whole[:0].min(initial=3),
    ),
    "shapes": lambda x, y, whole: (
        x.T,
        x.reshape(2, 6),
        x.reshape(6, 2, order="F"),
        jax.vmap(lambda row: row.reshape(3, 1), in_axes=1, out_axes=2)(x),
        x[1:, ::2],
        x[:, None],
        jnp.concatenate([x, y], 1),
        jnp.broadcast_to(x, (2, 3, 4)),
    ),
    "products": lambda x, y, whole: (
        x @ y.T,
        jnp.einsum("bi,bj->bij", x, y),
        jnp.einsum("bi,bi->b", x, y),
        jnp.einsum("bi,ci->cb", x, y),
    ),
    "types": lambda x, y, whole: (
        x.astype(int),
        (x > 0).astype(float),
        jnp.arange(3),
        jnp.eye(3),
        jax.nn.one_hot(whole, 3),
    ),
    "places": lambda x, y, whole: (
        jnp.take_along_axis(x, whole[:3, None] % 4, 1),
        jnp.zeros(4).at[whole % 3].add(1.0),
        jnp.argmax(x, 1),
    ),
    "programs in programs": lambda x, y, whole: (
        jax.jit(jnp.sin)(x),
        jax.grad(lambda a: jax.checkpoint(jnp.sin)(a).sum())(x),
    ),
    "draws": lambda x, y, whole: jax.random.normal(jax.random.key(1), (3,)),
    "loops": lambda x, y, whole: jax.lax.scan(lambda carry, row: (carry + row, carry @ row), x[0], x),
    "rules": lambda x, y, whole: (
        cases.ruled(x),
        cases.reversed_only(x),
        jax.grad(lambda a: jax.nn.relu(a).sum())(x),
        jax.grad(lambda a: cases.ruled(a).sum())(x),
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_that_of_xla(operation):
    function = OPERATIONS[operation]
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        found, expected = interpreted(function)(*ARGUMENTS), jax.jit(function)(*ARGUMENTS)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), found) == jax.tree.map(lambda a: (a.shape, a.dtype), expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15), found, expected)
