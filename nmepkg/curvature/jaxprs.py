"""What a function is made of, by the program that JAX traces of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """Every equation of a program, with those of the programs in it (loops, branches, compiled functions)."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(list(equation.params.values())):
            if isinstance(value, ClosedJaxpr):
                yield from equations(value.jaxpr)
            elif isinstance(value, Jaxpr):
                yield from equations(value)


def reverse_only(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function has a ``jax.custom_vjp`` in it, as fused kernels have: JAX has no forward mode for those.

    It traces the function once, and costs a compiled program nothing.
    """
    traced = jax.make_jaxpr(function)(*arguments)
    return any(equation.primitive.name.startswith("custom_vjp_call") for equation in equations(traced.jaxpr))
