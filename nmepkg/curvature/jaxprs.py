"""What a function is made of, by the program that JAX traces of it; and such a program computed in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Primitive

Types = Mapping[np.dtype[Any], np.dtype[Any]]
Operation = Callable[[Primitive, Sequence[Any], Mapping[str, Any]], Any]  # (primitive, inputs, params) -> its outputs


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


def bind(primitive: Primitive, inputs: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """An operation as JAX does it."""
    return primitive.bind(*inputs, **params)


def evaluate(
    program: ClosedJaxpr, arguments: Sequence[Any], types: Types | None = None, operation: Operation = bind
) -> list[Any]:
    """What a program gives, in loops and branches too, where some types are kept in others and operations are done by a rule.

    Rules of differentiation (``jax.custom_jvp``) are lost in it: differentiate first.

    Args:
      arguments: flat, as the program takes them.
      types: type -> that in which numbers of it are kept, made and returned. Constants stay as they were rounded.
      operation: does every operation; the programs of loops and branches are rewritten by then.
    """
    return _Evaluation(types or {}, operation)(program, arguments)


class _Evaluation:
    def __init__(self, types: Types, operation: Operation) -> None:
        self._types, self._operation = types, operation

    def __call__(self, program: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
        jaxpr = program.jaxpr
        given = map(self._kept, [*program.consts, *arguments])
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], given, strict=True))

        def read(atom: Any) -> Any:
            return self._kept(atom.val) if isinstance(atom, Literal) else values[atom]

        for equation in jaxpr.eqns:
            outputs = self._computed(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, map(self._kept, outputs), strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _computed(self, equation: JaxprEqn, inputs: list[Any]) -> Sequence[Any]:
        primitive, params = equation.primitive, equation.params
        if (inner := params.get("call_jaxpr")) is not None:  # of rules of differentiation too, which is done already
            return self(_closed(inner), inputs)
        if primitive.name == "bitcast_convert_type":  # of as many bits as it was
            types = [atom.aval.dtype for atom in equation.invars]  # type: ignore[attr-defined]
            inputs = [x.astype(dtype) for x, dtype in zip(inputs, types, strict=True)]
        else:
            params = {key: self._rewritten(x) for key, x in params.items()}
        outputs: Any = self._operation(primitive, inputs, params)
        return outputs if primitive.multiple_results else [outputs]

    def _kept(self, value: Any) -> Any:
        wanted = self._types.get(getattr(value, "dtype", None))  # type: ignore[arg-type]
        return value if wanted is None else jnp.asarray(value, wanted)

    def _rewritten(self, parameter: Any) -> Any:
        """A parameter of an operation: types, and programs of loops and branches."""
        if isinstance(parameter, ClosedJaxpr):
            shapes = [
                jax.ShapeDtypeStruct(x.shape, self._types.get(x.dtype, x.dtype), weak_type=x.weak_type)
                for x in parameter.in_avals
            ]
            return jax.make_jaxpr(lambda *x: self(parameter, x))(*shapes)
        if isinstance(parameter, Jaxpr):
            return self._rewritten(ClosedJaxpr(parameter, ())).jaxpr
        if isinstance(parameter, (tuple, list)) and any(isinstance(x, ClosedJaxpr | Jaxpr) for x in parameter):
            return type(parameter)(map(self._rewritten, parameter))
        return self._types.get(parameter, parameter) if isinstance(parameter, np.dtype) else parameter


def _closed(program: ClosedJaxpr | Jaxpr) -> ClosedJaxpr:
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())
