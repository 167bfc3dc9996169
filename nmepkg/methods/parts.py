"""Means over parts of a batch and over random draws: m-sharpness, and estimates of several samples."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import single
from nmepkg.methods.base import ApplyFn, Batch, LabelledLossFn, Method, Update, add_scaled


class Execution(NamedTuple):
    """How the parts of a step are taken. It decides speed and memory, and never what is computed.

    Attributes:
      unroll: for a CPU, where convolutions in a compiled loop are slower by a factor of ten and more: draws are written out one
        after another, and groups are taken at once. False, for accelerators: both are compiled loops.
      mesh: devices, along whose one axis a batch is shared out; None: a single one.
    """

    unroll: bool = True
    mesh: Mesh | None = None


HERE = Execution()
Tree = TypeVar("Tree")  # a pytree


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


def split(batch: Tree, count: int) -> Tree:
    """A batch as ``count`` parts of the same size, in order: every array gets a first axis of parts."""
    parts: Tree = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), batch)
    return parts


def mean_of_parts(tree: Tree) -> Tree:
    """The mean over the leading axis. What has none (integers, flags, PRNG keys of a state) is that of the first part."""
    mean: Tree = jax.tree.map(lambda x: jnp.mean(x, axis=0) if _has_mean(x) else x[0], tree)
    return mean


def _has_mean(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf), jnp.inexact)


def add_mean_of_draws(
    tree: Params,
    scale: ArrayLike,
    draw: Callable[[Params, Key], Params],
    params: Params,
    key: Key,
    samples: int,
    unroll: bool = True,
) -> Params:
    """tree + scale · mean of draw(params, key) over ``samples`` keys split from ``key``, of the types of ``tree``.

    One draw after another, and after ``tree``: memory is that of one.

    Args:
      unroll: see :class:`Execution`. Draws that are written out compute once what depends on the parameters alone. A compiled
        loop would hold that from its first turn to its last, beside what a turn needs: each of its turns computes it anew.

    Raises:
      ValueError: samples < 1.
    """
    if samples < 1:
        raise ValueError(f"the number of samples must be at least 1, not {samples}")

    def add(total: Params, key: Key, params: Params) -> Params:
        return add_scaled(total, scale / samples, draw(params, key))

    total: Params = jax.tree.map(single, tree)
    keys = jax.random.split(key, samples)
    if unroll or samples == 1:
        total = add(total, keys[0], params)
        for i in range(1, samples):
            total = add(total, _available_after(total, keys[i]), params)
    else:
        total, _ = jax.lax.scan(lambda t, key: (add(t, *_available_after(t, (key, params))), None), total, keys)
    return jax.tree.map(lambda t, leaf: t.astype(jnp.result_type(leaf)), total, tree)


def mean_in_turn(function: Callable[[Any], Tree], arguments: Any, unroll: bool = True) -> Tree:
    """The mean of ``function(argument)`` over the leading axis of a pytree of arguments, one after another, for memory's sake.

    What does not depend on the argument is computed once for all of them. What has no mean is as in :func:`mean_of_parts`.

    Args:
      unroll: writes all out; see :class:`Execution`.
    """

    def add(total: Tree, argument: Any) -> tuple[Tree, None]:
        found = function(_available_after(total, argument))
        return jax.tree.map(lambda x, y: x + y.astype(x.dtype) if _has_mean(x) else x, total, found), None

    count = len(jax.tree.leaves(arguments)[0])
    begin, *others = (jax.tree.map(operator.itemgetter(i), arguments) for i in range(count))
    first = jax.tree.map(lambda leaf: leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf), function(begin))
    total: Tree = jax.tree.map(lambda leaf: single(leaf) if _has_mean(leaf) else leaf, first)
    if unroll:
        for argument in others:
            total, _ = add(total, argument)
    elif others:
        total, _ = jax.lax.scan(add, total, jax.tree.map(lambda leaf: leaf[1:], arguments))
    mean: Tree = jax.tree.map(lambda x, t: (t / count).astype(x.dtype) if _has_mean(t) else t, first, total)
    return mean


def _available_after(total: Any, argument: Any) -> Any:
    """The argument, as a value that depends on ``total``, so that one part's intermediate values are gone before the next's.

    XLA drops ``jax.lax.optimization_barrier`` on a CPU before it schedules. A test watches over the memory.
    """
    x = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(total) if _has_mean(leaf) and leaf.size)
    never = jnp.isnan(x) & jnp.isinf(x)  # which the compiler does not see

    def after(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(after(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return jnp.where(never, jnp.zeros_like(leaf), leaf)

    return jax.tree.map(after, argument)


def in_groups(method: Method, m: int | None, execution: Execution = HERE) -> Method:
    """The method with m-sharpness (Foret et al. 2021, section 4.1).

    The batch of B examples is split, in order, into B/m groups; the method takes its own step on each, and direction, loss
    and running averages are the means over groups. BatchNorm then normalises each group by itself, as data-parallel training
    does with m examples a device. What has no mean, a counter in the state say, is that of the first group.

    Args:
      m: examples of a group; None: the whole batch is one.
      execution: a ``mesh`` keeps whole groups on a device where it divides their number, and else shares out each group, one
        after another.

    Raises:
      ValueError: by the method; m does not divide B, or arrays of the batch have unlike numbers of examples.
    """
    if m is None:
        return method
    unroll, mesh = execution

    def grouped(
        apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch, key: Key, strength: ArrayLike, /
    ) -> Update:
        if m == (size := examples(batch)):
            return method(apply_fn, loss_fn, params, batch, key, strength)
        if m < 1 or size % m:
            raise ValueError(f"groups of m = {m} examples do not divide a batch of {size}")
        count = size // m
        groups = (split(batch, count), jax.random.split(key, count))

        def one(group: tuple[Batch, Array]) -> Update:
            return method(apply_fn, loss_fn, params, *group, strength)

        def mean(groups: tuple[Batch, Array]) -> Update:
            # Each group has parameters of its own to perturb. All at once, that makes convolutions in groups, which
            # accelerators are slow at; in turn, a loop, which a CPU is slower at.
            return mean_of_parts(jax.vmap(one)(groups)) if unroll else mean_in_turn(one, groups, unroll=False)

        if mesh is None:
            return mean(groups)
        (axis,) = mesh.axis_names
        if count % mesh.size:
            sharding = NamedSharding(mesh, PartitionSpec(None, axis))
            return mean_in_turn(one, (jax.lax.with_sharding_constraint(groups[0], sharding), groups[1]), unroll)
        shared: Update = jax.shard_map(
            lambda groups: jax.tree.map(functools.partial(_mean_over, axis), mean(groups)),
            mesh=mesh,
            in_specs=PartitionSpec(axis),
            out_specs=PartitionSpec(),
            check_vma=False,  # or the gradient with respect to what all devices have would be its sum over them
        )(groups)
        return shared

    return grouped


def _mean_over(axis: str, leaf: Any) -> Any:
    """The mean over devices, or the first device's value of what has none."""
    if _has_mean(leaf):
        return jax.lax.pmean(leaf, axis)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_mean_over(axis, jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
    return jax.lax.all_gather(leaf, axis)[0]
