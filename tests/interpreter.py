"""What JAX has traced, computed by NumPy: for a program that runs once, compiling is nearly all.

A step of every method takes NumPy 0.1 s where XLA compiles for 4 s. For tests of formulas; where types, rounding or what is
compiled is the subject, JAX computes. ``tests/test_interpreter.py`` compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from scipy import special


def interpreted(function: Callable[..., Any], static: int = 0) -> Callable[..., Any]:
    """A function of pytrees of arrays, after so many static arguments, as ``jax.jit`` makes it: traced once for its shapes."""
    program = jax.jit(function, static_argnums=tuple(range(static)))

    def call(*arguments: Any) -> Any:
        leaves = jax.tree.leaves(arguments[static:])
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):  # it is part of what is traced
            return function(*arguments)
        traced = program.trace(*arguments)
        return jax.tree.unflatten(jax.tree.structure(traced.out_info), evaluate(traced.jaxpr, leaves))

    return call


def evaluate(closed: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    """The outputs of a traced function, from its flat arguments."""
    jaxpr = closed.jaxpr
    variables, known = [*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *arguments]
    values = {variable: _array(value, variable) for variable, value in zip(variables, known, strict=True)}

    def read(atom: Any) -> Any:
        return _array(atom.val, atom) if isinstance(atom, Literal) else values[atom]

    with np.errstate(all="ignore"):
        for eqn in jaxpr.eqns:
            found = _outputs(eqn, [read(atom) for atom in eqn.invars])
            values.update(
                {variable: _array(value, variable) for variable, value in zip(eqn.outvars, found, strict=True)}
            )
    return [read(atom) for atom in jaxpr.outvars]


def _array(value: Any, variable: Any) -> Any:
    """As an array of NumPy's, of the variable's type, unless it is of keys, which NumPy has none of."""
    return value if _is_key(variable) else np.asarray(value, variable.aval.dtype)


def _is_key(variable: Any) -> bool:
    return jax.dtypes.issubdtype(variable.aval.dtype, jax.dtypes.prng_key)


def _outputs(eqn: Any, inputs: list[Any]) -> list[Any]:
    """Those of one equation: by NumPy if it can, or else by JAX, which draws, gathers and scatters."""
    name = eqn.primitive.name
    if not any(map(_is_key, [*eqn.invars, *eqn.outvars])):
        if name in _CALLS:
            inner = eqn.params[_CALLS[name]]
            return evaluate(ClosedJaxpr(inner, ()) if isinstance(inner, Jaxpr) else inner, inputs)
        if rule := _RULES.get(name):
            return [rule(*inputs, **{key: value for key, value in eqn.params.items() if key not in _OF_NO_VALUE})]
    found = eqn.primitive.bind(*inputs, **eqn.params)
    return list(found) if eqn.primitive.multiple_results else [found]


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs: function(*inputs)


def _reduction(function: np.ufunc, of_none: float) -> Callable[..., Any]:
    """By a function of two numbers, and by what it gives for none."""

    def reduce(x: Any, axes: Sequence[int]) -> Any:
        if np.issubdtype(x.dtype, np.integer) and np.isinf(of_none):
            bounds = np.iinfo(x.dtype)
            return function.reduce(x, tuple(axes), initial=bounds.min if of_none < 0 else bounds.max)
        return function.reduce(x, tuple(axes), dtype=x.dtype, initial=of_none)

    return reduce


def _broadcast(x: Any, *, shape: Any, broadcast_dimensions: Any) -> Any:
    full = np.ones(len(shape), int)
    full[list(broadcast_dimensions)] = x.shape
    return np.broadcast_to(x.reshape(full), shape)


def _dot(x: Any, y: Any, *, dimension_numbers: Any) -> Any:
    (x_summed, y_summed), (x_batch, y_batch) = dimension_numbers
    of_x, of_y = list(range(x.ndim)), list(range(x.ndim, x.ndim + y.ndim))
    for i, j in zip((*x_summed, *x_batch), (*y_summed, *y_batch), strict=True):
        of_y[j] = of_x[i]
    free = [
        of[i] for of, taken in ((of_x, (*x_summed, *x_batch)), (of_y, (*y_summed, *y_batch))) for i in _rest(of, taken)
    ]
    return np.einsum(x, of_x, y, of_y, [of_x[i] for i in x_batch] + free)


def _rest(axes: list[int], taken: Sequence[int]) -> list[int]:
    return [i for i in range(len(axes)) if i not in taken]


def _reshape(x: Any, *, new_sizes: Any, dimensions: Any) -> Any:
    return (x if dimensions is None else np.transpose(x, dimensions)).reshape(new_sizes)


def _select(which: Any, *choices: Any) -> Any:
    return np.choose(which, choices) if which.dtype != bool else np.where(which, choices[1], choices[0])


def _slice(x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
    return x[tuple(map(slice, start_indices, limit_indices, strides or [None] * x.ndim))]


# Parameters that decide no value, but for rounding: a rule takes all others, or fails.
_OF_NO_VALUE = {"accuracy", "out_dtype", "out_sharding", "precision", "preferred_element_type", "sharding", "weak_type"}
_CALLS = {"jit": "jaxpr", "remat2": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "tanh", "sqrt", "sign", "square", "abs")},
    **{"add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative},
    **{"max": np.maximum, "min": np.minimum, "pow": np.power, "not": np.invert, "is_finite": np.isfinite},
    **{"and": np.bitwise_and, "or": np.bitwise_or, "eq": np.equal, "ne": np.not_equal},
    **{"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal},
    **{"erf": special.erf, "erfc": special.erfc, "logistic": special.expit, "select_n": _select},
}
_RULES: dict[str, Callable[..., Any]] = {
    **{name: _elementwise(function) for name, function in _ELEMENTWISE.items()},
    "reduce_max": _reduction(np.maximum, -np.inf),
    "reduce_min": _reduction(np.minimum, np.inf),
    "reduce_sum": _reduction(np.add, 0),
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda *xs, dimension: np.concatenate(xs, dimension),
    "convert_element_type": lambda x, new_dtype: x.astype(new_dtype),
    "div": lambda x, y: x / y if jax.dtypes.issubdtype(x.dtype, np.inexact) else np.trunc(x / y).astype(x.dtype),
    "dot_general": _dot,
    "integer_pow": lambda x, y: x**y,
    "iota": lambda dtype, shape, dimension: np.indices(shape, dtype)[dimension],
    "reshape": _reshape,
    "slice": _slice,
    "squeeze": lambda x, dimensions: np.squeeze(x, dimensions),
    "transpose": lambda x, permutation: np.transpose(x, permutation),
}
