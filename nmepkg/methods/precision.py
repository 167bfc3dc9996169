"""A function that rounds to half precision as it would be without that rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from nmepkg.curvature.jaxprs import equations
from nmepkg.curvature.vectors import single

_HALF = (jnp.bfloat16, jnp.float16)


def rounds(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function computes something in half precision. It traces the function once."""
    traced = jax.make_jaxpr(function)(*arguments)
    return any(_is_half(var.aval) for equation in equations(traced.jaxpr) for var in equation.outvars)


def in_single(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with every number that it takes, makes or returns in half precision kept in float32.

    Its program is traced, and each operation that has a type of half precision gets the other instead; constants stay as they
    were rounded. What it returns cannot be differentiated by rules of its parts (``jax.custom_jvp``): differentiate first.
    """

    def computed(*arguments: Any) -> Any:
        traced, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = _evaluate(traced.jaxpr, traced.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return computed


def _is_half(typed: Any) -> bool:
    return getattr(typed, "dtype", None) in _HALF


def _wide(value: Any) -> Any:
    return single(value) if _is_half(value) else value


def _evaluate(jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], map(_wide, [*constants, *arguments]), strict=True))

    def read(atom: Any) -> Any:
        return _wide(atom.val) if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        name, params = equation.primitive.name, equation.params
        if (inner := params.get("call_jaxpr")) is not None:  # of rules of differentiation too, which is done already
            outputs = _evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), inputs)
        elif name == "bitcast_convert_type":  # of as many bits as it was
            types = [atom.aval.dtype for atom in equation.invars]  # type: ignore[attr-defined]
            halves = [x.astype(dtype) for x, dtype in zip(inputs, types, strict=True)]
            outputs = [equation.primitive.bind(*halves, **params)]
        else:
            params = {key: _promoted(x) for key, x in params.items()}
            outputs = equation.primitive.bind(*inputs, **params)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        values.update(zip(equation.outvars, map(_wide, outputs), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _promoted(parameter: Any) -> Any:
    """A parameter of an operation: types, and programs of loops and branches."""
    if isinstance(parameter, ClosedJaxpr):
        shapes = [
            jax.ShapeDtypeStruct(x.shape, np.dtype(np.float32) if _is_half(x) else x.dtype, weak_type=x.weak_type)
            for x in parameter.in_avals
        ]
        return jax.make_jaxpr(lambda *x: _evaluate(parameter.jaxpr, parameter.consts, x))(*shapes)
    if isinstance(parameter, Jaxpr):
        return _promoted(ClosedJaxpr(parameter, ())).jaxpr
    if isinstance(parameter, (tuple, list)) and any(isinstance(x, ClosedJaxpr | Jaxpr) for x in parameter):
        return type(parameter)(map(_promoted, parameter))
    return np.dtype(np.float32) if isinstance(parameter, np.dtype) and parameter in _HALF else parameter
