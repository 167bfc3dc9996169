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
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

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
    """The mean of ``draw(key)`` over ``samples`` keys split from ``key``, one draw after another, for memory's sake.

    On a CPU the draws are written out, as convolutions inside a loop are slow there, by a factor of ten and more. What does not
    depend on the key is computed once for all of them.

    Raises:
      ValueError: samples < 1.
    """
    if samples < 1:
        raise ValueError(f"the number of samples must be at least 1, not {samples}")

    def add(total: Params, key: Array) -> tuple[Params, None]:
        return jax.tree.map(jnp.add, total, draw(_after(total, key))), None

    keys = jax.random.split(key, samples)
    total = draw(keys[0])
    if jax.default_backend() == "cpu":
        for key in keys[1:]:
            total, _ = add(total, key)
    else:
        total, _ = jax.lax.scan(add, total, keys[1:])
    return jax.tree.map(lambda leaf: leaf / samples, total)


def _after(total: Params, key: Array) -> Array:
    """``key``, not to be used before ``total`` is known. Of a barrier XLA makes nothing on a CPU before it schedules."""
    x = sum(leaf.ravel()[0] for leaf in jax.tree.leaves(total))
    zero = jnp.isnan(x) & jnp.isinf(x)  # which the compiler cannot know
    return jax.random.wrap_key_data(jax.random.key_data(key) | zero.astype(jnp.uint32), impl=jax.random.key_impl(key))


def with_groups(method: Method) -> Method:
    """Gives a method the option ``m``: m-sharpness (Foret et al. 2021, section 4.1).

    The batch of B examples is split, in order, into B/m groups; the method takes its own step on each, and direction, loss
    and running averages are the means over groups. ``m=None`` is one group. BatchNorm then normalises each group by itself,
    as data-parallel training does with m examples a device.

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
        **options: Any,
    ) -> Update:
        size = batch[0].shape[0]
        if m is None or m == size:
            return method(logits_fn, loss_fn, params, batch, key, strength, **options)
        if size % m:
            raise ValueError(f"groups of m = {m} examples do not divide a batch of {size}")
        groups = jax.tree.map(lambda x: x.reshape(size // m, m, *x.shape[1:]), batch)
        keys = jax.random.split(key, size // m)
        updates = jax.vmap(lambda batch, key: method(logits_fn, loss_fn, params, batch, key, strength, **options))(
            groups, keys
        )
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), updates)

    return grouped
