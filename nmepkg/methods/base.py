"""What every method shares: its signature, the clean pass, and perturbation per group of examples.

A method is a pure function

    method(logits_fn, loss_fn, params, batch, key, strength, **options) -> Update

with ``logits_fn(params, inputs) -> (logits, state)`` the model in training mode and the running averages that it would
keep, ``loss_fn(logits, labels) -> scalar`` a mean over examples, ``batch = (inputs, labels)``, ``key`` a PRNG key for
methods that draw noise, and ``strength`` (ρ, σ²) a scalar that may be traced.

Parameters, inputs, labels, logits and state are pytrees. Parameters are real numbers, of one floating type or several: sums
and perturbed parameters are of float32 at least, or rounding would eat a small step. The first axis of inputs and labels is
that of examples.

BatchNorm: every pass of a method, and every curvature product, normalises with the statistics of the examples that it
sees, as functions of the parameters (they are differentiated through). The running averages come from the clean pass at
θ alone: passes at perturbed parameters leave them as they are. (The paper does not say what it does.)
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nmepkg.curvature.vectors import norm as norm
from nmepkg.curvature.vectors import normalize as normalize
from nmepkg.curvature.vectors import refuse_complex, single

Params = Any  # a pytree of real numbers
Batch = tuple[Any, Any]
LogitsFn = Callable[[Params, Any], tuple[Any, Any]]
LossFn = Callable[[Any, Any], Array]


class Update(NamedTuple):
    """What one step of a method gives.

    Attributes:
      direction: what takes the gradient's place in the optimiser; of the structure, shapes and types of the parameters.
      state: the model's running averages after the clean pass.
      loss: loss of the clean pass, without penalty; scalar.
    """

    direction: Params
    state: Any
    loss: Array


Method = Callable[..., Update]


def loss_and_gradient(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch) -> tuple[Array, Any, Params]:
    """The clean pass: (loss, state, ∇L) at θ on the batch."""
    refuse_complex(params)
    inputs, labels = batch

    def objective(params: Params) -> tuple[Array, Any]:
        logits, state = logits_fn(params, inputs)
        return loss_fn(logits, labels), state

    (loss, state), gradient = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, state, gradient


def add_scaled(tree: Params, scale: Any, other: Params) -> Params:
    """tree + scale · other, of the types of ``tree``."""
    return jax.tree.map(lambda x, y: (single(x) + scale * single(y)).astype(jnp.result_type(x)), tree, other)


def shifted(logits_fn: LogitsFn, scale: Any, v: Params) -> LogitsFn:
    """The model at θ + scale · v as a function of θ, so that its gradient is of the types of θ whatever those of the sum."""

    def at(params: Params, inputs: Any) -> tuple[Any, Any]:
        return logits_fn(jax.tree.map(lambda x, y: single(x) + scale * single(y), params, v), inputs)

    return at


def examples(batch: Any) -> int:
    """The number of examples in a batch.

    Raises:
      ValueError: an array has no axis of examples, or two have unlike numbers of them.
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or () in sizes:
        found = sorted(size[0] if size else 0 for size in sizes)
        raise ValueError(f"the arrays of a batch must have one number of examples as their first axis, not {found}")
    return int(sizes.pop()[0])


def split(batch: Any, count: int) -> Any:
    """A batch as ``count`` parts of the same size, in order: every array gets a first axis of parts."""
    return jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), batch)


def mean_of_parts(tree: Any) -> Any:
    """The mean over the leading axis. What has none (integers, flags, PRNG keys of a state) is that of the first part."""
    return jax.tree.map(lambda x: jnp.mean(x, axis=0) if _has_mean(x) else x[0], tree)


def _has_mean(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf), jnp.inexact)


def mean_of_draws(draw: Callable[[Array], Params], key: Array, samples: int) -> Params:
    """The mean of ``draw(key)`` over ``samples`` keys split from ``key``, in turn; see :func:`mean_in_turn`.

    Raises:
      ValueError: samples < 1.
    """
    if samples < 1:
        raise ValueError(f"the number of samples must be at least 1, not {samples}")
    return mean_in_turn(draw, jax.random.split(key, samples))


def mean_in_turn(function: Callable[[Any], Params], arguments: Any) -> Params:
    """The mean of ``function(argument)`` over the leading axis of a pytree of arguments, one after another, for memory's sake.

    On a CPU all is written out, as convolutions inside a loop are slow there, by a factor of ten and more. What does not depend
    on the argument is computed once for all of them. What has no mean is as in :func:`mean_of_parts`.
    """

    def add(total: Params, argument: Any) -> tuple[Params, None]:
        found = function(_after(total, argument))
        return jax.tree.map(lambda x, y: x + y if _has_mean(x) else x, total, found), None

    count = len(jax.tree.leaves(arguments)[0])
    begin, *others = (jax.tree.map(operator.itemgetter(i), arguments) for i in range(count))
    first = jax.tree.map(lambda leaf: leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf), function(begin))
    total = jax.tree.map(lambda leaf: single(leaf) if _has_mean(leaf) else leaf, first)
    if jax.default_backend() == "cpu":
        for argument in others:
            total, _ = add(total, argument)
    elif others:
        total, _ = jax.lax.scan(add, total, jax.tree.map(lambda leaf: leaf[1:], arguments))
    return jax.tree.map(lambda x, t: (t / count).astype(x.dtype) if _has_mean(x) else t, first, total)


def _after(total: Params, argument: Any) -> Any:
    """The argument, not to be used before ``total`` is known. Of a barrier XLA makes nothing on a CPU before it schedules."""
    x = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(total) if _has_mean(leaf) and leaf.size)
    never = jnp.isnan(x) & jnp.isinf(x)  # which the compiler cannot know

    def after(leaf: Array) -> Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(after(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return jnp.where(never, jnp.zeros_like(leaf), leaf)

    return jax.tree.map(after, argument)


def with_groups(method: Method) -> Method:
    """Gives a method the option ``m``: m-sharpness (Foret et al. 2021, section 4.1).

    The batch of B examples is split, in order, into B/m groups; the method takes its own step on each, and direction, loss
    and running averages are the means over groups. ``m=None`` is one group. BatchNorm then normalises each group by itself,
    as data-parallel training does with m examples a device. What has no mean, a counter in the state say, is that of the first
    group. ``mesh``, of one axis along which the batch is shared out, keeps
    whole groups on a device where it divides their number, and else shares out each group, one after another.

    Raises:
      ValueError: m does not divide B, or arrays of the batch have unlike numbers of examples.
    """

    @functools.wraps(method)
    def grouped(
        logits_fn: LogitsFn,
        loss_fn: LossFn,
        params: Params,
        batch: Batch,
        key: Array,
        strength: Any,
        *,
        m: int | None = None,
        mesh: Mesh | None = None,
        **options: Any,
    ) -> Update:
        if m is None or m == (size := examples(batch)):
            return method(logits_fn, loss_fn, params, batch, key, strength, **options)
        if m < 1 or size % m:
            raise ValueError(f"groups of m = {m} examples do not divide a batch of {size}")
        count = size // m
        groups = (split(batch, count), jax.random.split(key, count))

        def one(group: tuple[Batch, Array]) -> Update:
            return method(logits_fn, loss_fn, params, *group, strength, **options)

        def mean(groups: tuple[Batch, Array]) -> Update:
            # Each group has parameters of its own to perturb. All at once, that makes convolutions in groups, which
            # accelerators are slow at; in turn, a loop, which a CPU is slower at.
            if jax.default_backend() == "cpu":
                return mean_of_parts(jax.vmap(one)(groups))
            return mean_in_turn(one, groups)

        if mesh is None:
            return mean(groups)
        (axis,) = mesh.axis_names
        if count % mesh.size:
            sharding = NamedSharding(mesh, PartitionSpec(None, axis))
            return mean_in_turn(one, (jax.lax.with_sharding_constraint(groups[0], sharding), groups[1]))
        return jax.shard_map(
            lambda groups: jax.tree.map(functools.partial(_mean_over, axis), mean(groups)),
            mesh=mesh,
            in_specs=PartitionSpec(axis),
            out_specs=PartitionSpec(),
            check_vma=False,  # or the gradient with respect to what all devices have would be its sum over them
        )(groups)

    return grouped


def _mean_over(axis: str, leaf: Array) -> Array:
    """The mean over devices, or the first device's value of what has none."""
    if _has_mean(leaf):
        return jax.lax.pmean(leaf, axis)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_mean_over(axis, jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
    return jax.lax.all_gather(leaf, axis)[0]
