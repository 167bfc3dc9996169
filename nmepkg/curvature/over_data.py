"""H, G or N of a loss over all of some data, as one symmetric operator on the parameters.

The model is taken as ``logits_fn(params, batch)`` and the loss as ``loss_fn(logits, batch)``. With the batch filled
in, each is what :func:`~nmepkg.curvature.linearize` takes, ``lambda params: logits_fn(params, batch)`` and
``lambda logits: loss_fn(logits, batch)``, and nothing has to be said of which part of a batch is an input and which a
target, a mask or a key. A scalar function that has no such two parts has H alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from nmepkg.curvature import batches, selection
from nmepkg.curvature.operators import Operator
from nmepkg.curvature.products import linearize
from nmepkg.curvature.types import LinearMap, Logits, Params, Scalar
from nmepkg.curvature.vectors import single

_PARTS = {"H": "hvp", "G": "gnvp", "N": "nmevp"}
_KEPT = 6  # sets of programs: H, G and N of two models


def operator(
    part: str,
    logits_fn: Callable[..., Logits],
    loss_fn: Callable[..., Scalar] | None,
    params: Params,
    data: Any = None,
    *,
    only: selection.Only = None,
    weight: batches.Weight | None = None,
) -> Operator:
    """H, G or N of Σ_b (n_b/n) L_b, the mean loss over batches of n_b examples, n in all.

    A product is compiled once for each shape of a batch, and for other parameters, with the same two functions, not
    again. One batch is linearised once, and its intermediate values are held as long as the operator is. Several are
    linearised for each product anew, one after another, so that memory is that of one of them.

    Args:
      part: ``H``, ``G`` or ``N``.
      logits_fn: (params, batch) -> logits, a pytree of arrays.
      loss_fn: (logits, batch) -> a scalar, the mean over the batch's examples. ``None``: ``logits_fn`` is that scalar, any
        function of θ, and has H alone.
      params: θ, a pytree.
      data: a batch, which is a pytree of arrays; a list of batches; or a loader, which is anything else that can be
        iterated, and gives the same batches each time. A loader is read twice here, to see that it does. ``None``: there
        are none, and the functions take no batch.
      only: parts of θ by name, as ``["Dense_0", "Dense_1/kernel"]`` or a function of a name: the operator is then the
        diagonal block of these, and its vectors have ``None`` in place of the others.
      weight: batch -> n_b, where it is not the length of the first axis: the number of tokens that a mask leaves, say.

    Raises:
      TypeError: the loader can be read only once; a parameter is complex, or no floating-point number.
      ValueError: no such part, or G or N without a loss; ``only`` names nothing; a batch has no number of examples; the
        loader is not the same twice.

    Example:
      z = θ₁ θ₂ x and L = ½ z², whose Hessian is x² ((θ₂², 2θ₁θ₂), (2θ₁θ₂, θ₁²)); of x² the mean over all examples counts:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> logits_fn, loss_fn = lambda p, x: p["a"] * p["b"] * x, lambda z, x: jnp.mean(z**2) / 2
      >>> theta = {"a": jnp.array(1.0), "b": jnp.array(2.0)}
      >>> A = curvature.operator("H", logits_fn, loss_fn, theta, [jnp.array([1.0, 1.0]), jnp.array([2.0])])
      >>> A.shape, (A @ jnp.array([1.0, 0.0])).tolist()
      ((2, 2), [8.0, 8.0])
      >>> of_b = curvature.operator("H", logits_fn, loss_fn, theta, jnp.array([1.0]), only="b")
      >>> of_b({"a": None, "b": jnp.array(3.0)})["b"].tolist()
      3.0

      Of any scalar function of any pytree:

      >>> (curvature.operator("H", lambda p: p["a"] ** 2 * p["b"], None, theta) @ jnp.array([1.0, 0.0])).tolist()
      [4.0, 2.0]
    """
    if part not in _PARTS:
        raise ValueError(f"part: an operator is that of {', '.join(_PARTS)}, not {part!r}")
    if loss_fn is None and part != "H":
        raise ValueError(f"part: {part} needs the loss apart from the model; a function without a loss_fn has H alone")
    chosen, rest = selection.split(jax.tree.map(jnp.asarray, params), only)
    _refuse_others(chosen)
    data = batches.read(data, weight)
    linear, add, at_once = _programs(part, logits_fn, loss_fn)
    kept = linear(chosen, rest, next(iter(data.source))) if data.held and len(data.shares) == 1 else None

    def products(vectors: Sequence[Params]) -> list[Params]:
        if kept is not None:
            return [_product(kept, v) for v in vectors]
        totals = [_zeros(v) for v in vectors]
        for batch, share in data.batches():
            _wait(totals)
            if len(vectors) == 1:
                totals = [at_once(totals[0], chosen, rest, batch, vectors[0], share)]
            else:
                linear_map = linear(chosen, rest, batch)
                totals = [add(total, linear_map, v, share) for total, v in zip(totals, vectors, strict=True)]
        return [jax.tree.map(lambda x, leaf: x.astype(leaf.dtype), total, chosen) for total in totals]

    return Operator(chosen, products, traceable=data.held)


def _refuse_others(chosen: Params) -> None:
    """Raises TypeError if a parameter is not of real floating-point numbers."""
    for name, leaf in zip(selection.names(chosen), jax.tree.leaves(chosen), strict=True):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            is_complex = jnp.issubdtype(leaf.dtype, jnp.complexfloating)
            remedy = "give its real and imaginary parts as two" if is_complex else "leave it out by only=, or cast it"
            what = f"parameter {name!r}" if name else "the parameter"
            raise TypeError(f"{what} is of {leaf.dtype}, and curvature of real floats: {remedy}")


# Compiled, as with a small network JAX takes longer to start such things leaf by leaf than a product takes.
@jax.jit
def _zeros(v: Params) -> Params:
    return jax.tree.map(lambda leaf: jnp.zeros_like(single(leaf)), v)


@jax.jit
def _product(linear_map: LinearMap, v: Params) -> Params:
    return linear_map(v)


def _wait(tree: Any) -> None:
    """Until what is computed is there: so one batch at a time is on the device, while the next one is read."""
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree)):
        jax.block_until_ready(tree)


@lru_cache(maxsize=_KEPT)
def _programs(part: str, logits_fn: Any, loss_fn: Any) -> tuple[Any, Any, Any]:
    """The compiled programs of a model: its linear map of a batch, a product that is added to a sum, and the two in one."""

    def linear(chosen: Params, rest: Params, batch: batches.Batch) -> LinearMap:
        given = () if batch is None else (batch,)

        def logits(params: Params) -> Logits:
            return logits_fn(selection.merge(params, rest), *given)

        def loss(z: Logits) -> Scalar:
            value: Scalar = z if loss_fn is None else loss_fn(z, *given)
            return value

        found: LinearMap = getattr(linearize(logits, loss, chosen), _PARTS[part])
        return found

    def add(total: Params, linear_map: LinearMap, v: Params, share: Any) -> Params:
        return jax.tree.map(lambda total, x: total + share * x.astype(total.dtype), total, linear_map(v))

    def at_once(total: Params, chosen: Params, rest: Params, batch: batches.Batch, v: Params, share: Any) -> Params:
        return add(total, linear(chosen, rest, batch), v, share)

    in_place = partial(jax.jit, donate_argnums=0)
    return jax.jit(linear), in_place(add), in_place(at_once)
