"""One compiled step of training, with what a run needs around it: initial state, order of batches, evaluation.

Everything here is pure. What a spec fixes is closed over (model, method, shapes); what a grid varies is traced
(:class:`~nmepkg.training.optimizer.Hyperparameters`, the seed), so that runs of one shape share one compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nmepkg import activations
from nmepkg.registry import LOSSES, METHODS, MODELS
from nmepkg.training.optimizer import Hyperparameters, learning_rate, sgd

Data = tuple[Array, Array]


class State(NamedTuple):
    """A training between two steps.

    Attributes:
      params: parameters of the model.
      batch_stats: its running averages; empty without BatchNorm.
      momentum: state of the optimiser.
      step: steps taken.
      key: PRNG key of the run; draws are folded from it by step or epoch, never by history.
      order: (N,) the epoch's permutation of the training examples.
      loss: sum of the clean losses since the epoch began.
    """

    params: Any
    batch_stats: Any
    momentum: Any
    step: Array
    key: Array
    order: Array
    loss: Array


class Program(NamedTuple):
    """The functions of a run, ready to be compiled.

    Attributes:
      init: (seed, hyper, inputs) -> State, from the shape of the training inputs.
      begin_epoch: State -> State with a fresh order.
      step: (State, hyper, data) -> State after one batch.
      evaluate: (State, hyper, data, members) -> (sum of losses, number correct), each (S,), over the examples of each of S
        sets, with members (B, S) saying which example is in which set. The model is in evaluation mode.
    """

    init: Callable[[Any, Hyperparameters, Array], State]
    begin_epoch: Callable[[State], State]
    step: Callable[[State, Hyperparameters, Data], State]
    evaluate: Callable[[State, Hyperparameters, Data, Array], tuple[Array, Array]]


def permutation(key: Array, n: int) -> Array:
    """A random order of n examples, (n,) integers.

    Small sets sort random numbers that carry their index in the low bits: one sort of plain integers takes a sixth of the
    time of ``jax.random.permutation`` on a CPU, where that is a tenth of an epoch of a small net. (Of n examples some
    n²/2³³⁻ᵇ pairs, b the bits of n, draw the same number and keep their order.)
    """
    bits = n.bit_length()
    if bits > 16:
        return jax.random.permutation(key, n)
    drawn = jax.random.bits(key, (n,), jnp.uint32) >> bits << bits
    return (jnp.sort(drawn | jnp.arange(n, dtype=jnp.uint32)) & (2**bits - 1)).astype(jnp.int32)


def _options(spec: Mapping[str, Any], *besides: str) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in ("name", *besides)}


def model_factory(spec: Mapping[str, Any], classes: int) -> Callable[..., Any]:
    """``activation=φ`` -> the Flax module of a canonical spec."""
    return partial(MODELS[spec["model"]["name"]].load(), classes=classes, **_options(spec["model"]))


def loss_function(spec: Mapping[str, Any]) -> Callable[[Array, Array], Array]:
    """(logits, labels) -> scalar, the loss of a canonical spec."""
    return partial(LOSSES[spec["loss"]["name"]].load(), **_options(spec["loss"]))


def make_program(spec: Mapping[str, Any], classes: int) -> Program:
    """The functions of the run that a canonical spec describes. Hyper-parameters in the spec are not read here."""
    make_model, loss_fn = model_factory(spec, classes), loss_function(spec)
    method = partial(METHODS[spec["method"]["name"]].load(), **_options(spec["method"], "strength"))
    batch_size = spec["training"]["batch_size"]
    optimizer = partial(
        sgd,
        nesterov=spec["optimizer"]["nesterov"],
        decayed_parameters=spec["optimizer"]["decayed"],
        clip=spec["optimizer"]["clip_norm"] is not None,
    )

    def model(hyper: Hyperparameters) -> Any:
        return make_model(activation=activations.from_spec(spec["activation"], hyper.beta))

    def init(seed: Array, hyper: Hyperparameters, inputs: Array) -> State:
        init_key, key = jax.random.split(jax.random.key(seed))
        variables = model(hyper).init(init_key, inputs[:1], train=False)
        params = variables["params"]
        return State(
            params,
            variables.get("batch_stats", {}),
            optimizer(hyper, params).init(params),
            jnp.zeros((), jnp.int32),
            key,
            jnp.arange(len(inputs), dtype=jnp.int32),
            jnp.zeros(()),
        )

    def begin_epoch(state: State) -> State:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 0), state.step)
        return state._replace(order=permutation(key, len(state.order)), loss=jnp.zeros_like(state.loss))

    def step(state: State, hyper: Hyperparameters, data: Data) -> State:
        start = (state.step % (len(state.order) // batch_size)) * batch_size
        indices = jax.lax.dynamic_slice_in_dim(state.order, start, batch_size)
        batch = jax.tree.map(lambda x: x[indices], data)

        def logits_fn(params: Any, inputs: Array) -> tuple[Array, Any]:
            variables = {"params": params, "batch_stats": state.batch_stats}
            logits, updates = model(hyper).apply(variables, inputs, train=True, mutable=["batch_stats"])
            return logits, updates.get("batch_stats", {})

        key = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.step)
        update = method(logits_fn, loss_fn, state.params, batch, key, hyper.strength)
        descent, momentum = optimizer(hyper, state.params).update(update.direction, state.momentum, state.params)
        rate = learning_rate(state.step, hyper)
        return State(
            optax.apply_updates(state.params, jax.tree.map(lambda d: -rate * d, descent)),
            update.state,
            momentum,
            state.step + 1,
            state.key,
            state.order,
            state.loss + update.loss,
        )

    def evaluate(state: State, hyper: Hyperparameters, data: Data, members: Array) -> tuple[Array, Array]:
        inputs, labels = data
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        logits = model(hyper).apply(variables, inputs, train=False)
        losses = jax.vmap(lambda z, y: loss_fn(z[None], y[None]))(logits, labels)
        correct = jnp.argmax(logits, axis=1) == labels
        # `where`, as 0·∞ would carry one set's overflow into another.
        sums = jnp.sum(jnp.where(members, losses[:, None], 0), axis=0)
        return sums, jnp.sum(members & correct[:, None], axis=0)

    return Program(init, begin_epoch, step, evaluate)
