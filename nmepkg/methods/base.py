"""What every method shares: its signature, the clean pass, and perturbation per group of examples.

A method is a pure function

    method(logits_fn, loss_fn, params, batch, key, strength, **options) -> Update

with ``logits_fn(params, inputs) -> (logits, state)`` the model in training mode and the running averages that it would
keep, ``loss_fn(logits, labels) -> scalar`` a mean over examples, ``batch = (inputs, labels)``, ``key`` a PRNG key for
methods that draw noise, and ``strength`` (ρ, σ²) a scalar that may be traced.

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

Params = Any  # a pytree of arrays
Batch = tuple[Array, Array]
LogitsFn = Callable[[Params, Array], tuple[Array, Any]]
LossFn = Callable[[Array, Array], Array]


class Update(NamedTuple):
    """What one step of a method gives.

    Attributes:
      direction: what takes the gradient's place in the optimiser; of the structure of the parameters.
      state: the model's running averages after the clean pass.
      loss: loss of the clean pass, without penalty; scalar.
    """

    direction: Params
    state: Any
    loss: Array


Method = Callable[..., Update]


def loss_and_gradient(logits_fn: LogitsFn, loss_fn: LossFn, params: Params, batch: Batch) -> tuple[Array, Any, Params]:
    """The clean pass: (loss, state, ∇L) at θ on the batch."""
    inputs, labels = batch

    def objective(params: Params) -> tuple[Array, Any]:
        logits, state = logits_fn(params, inputs)
        return loss_fn(logits, labels), state

    (loss, state), gradient = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, state, gradient


def norm(tree: Params) -> Array:
    """The Euclidean norm of a pytree; scalar."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


def normalize(tree: Params) -> tuple[Params, Array]:
    """(t/‖t‖, ‖t‖), and zeros for a zero t, where t/‖t‖ is not defined: there a method's step is SGD's.

    The largest entry is divided out first, so that squares neither overflow nor underflow.
    """
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))
    scale = jnp.where(largest > 0, largest, 1)
    scaled = jax.tree.map(lambda leaf: leaf / scale, tree)
    length = norm(scaled)
    unit = jax.tree.map(lambda leaf: leaf / jnp.where(length > 0, length, 1), scaled)
    return unit, length * scale


def add_scaled(tree: Params, scale: Any, other: Params) -> Params:
    """tree + scale · other."""
    return jax.tree.map(lambda x, y: x + scale * y, tree, other)


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
    on the argument is computed once for all of them.
    """

    def add(total: Params, argument: Any) -> tuple[Params, None]:
        return jax.tree.map(jnp.add, total, function(_after(total, argument))), None

    count = len(jax.tree.leaves(arguments)[0])
    first, *others = (jax.tree.map(operator.itemgetter(i), arguments) for i in range(count))
    total = function(first)
    if jax.default_backend() == "cpu":
        for argument in others:
            total, _ = add(total, argument)
    elif others:
        total, _ = jax.lax.scan(add, total, jax.tree.map(lambda leaf: leaf[1:], arguments))
    return jax.tree.map(lambda leaf: leaf / count, total)


def _after(total: Params, argument: Any) -> Any:
    """The argument, not to be used before ``total`` is known. Of a barrier XLA makes nothing on a CPU before it schedules."""
    x = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(total))
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
    as data-parallel training does with m examples a device. ``mesh``, of one axis along which the batch is shared out, keeps
    whole groups on a device where it divides their number, and else shares out each group, one after another.

    Raises:
      ValueError: m does not divide B.
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
        size = batch[0].shape[0]
        if m is None or m == size:
            return method(logits_fn, loss_fn, params, batch, key, strength, **options)
        if size % m:
            raise ValueError(f"groups of m = {m} examples do not divide a batch of {size}")
        count = size // m
        groups = (jax.tree.map(lambda x: x.reshape(count, m, *x.shape[1:]), batch), jax.random.split(key, count))

        def one(group: tuple[Batch, Array]) -> Update:
            return method(logits_fn, loss_fn, params, *group, strength, **options)

        def mean(groups: tuple[Batch, Array]) -> Update:
            # Each group has parameters of its own to perturb. All at once, that makes convolutions in groups, which
            # accelerators are slow at; in turn, a loop, which a CPU is slower at.
            if jax.default_backend() == "cpu":
                return jax.tree.map(lambda x: jnp.mean(x, axis=0), jax.vmap(one)(groups))
            return mean_in_turn(one, groups)

        if mesh is None:
            return mean(groups)
        (axis,) = mesh.axis_names
        if count % mesh.size:
            sharding = NamedSharding(mesh, PartitionSpec(None, axis))
            return mean_in_turn(one, (jax.lax.with_sharding_constraint(groups[0], sharding), groups[1]))
        return jax.shard_map(
            lambda groups: jax.lax.pmean(mean(groups), axis),
            mesh=mesh,
            in_specs=PartitionSpec(axis),
            out_specs=PartitionSpec(),
            check_vma=False,  # or the gradient with respect to what all devices have would be its sum over them
        )(groups)

    return grouped
