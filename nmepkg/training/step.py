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
from nmepkg.data.store import Scaling
from nmepkg.methods.base import LogitsFn, Update, examples, mean_in_turn, mean_of_parts, split
from nmepkg.registry import AUGMENTATIONS, DATASETS, LOSSES, METHODS, MODELS
from nmepkg.training.devices import ONE, Layout
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
      order: (N,) the epoch's permutation of the training examples; empty where they are streamed.
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

    ``data`` is what a step takes examples from: (inputs, labels) of the whole training set, and maybe more behind it, on the
    device; or where data are streamed, those of the batch.

    Attributes:
      init: (seed, hyper, example) -> State, from one example (1, …) of the data.
      begin_epoch: State -> State with a fresh order.
      step: (State, hyper, data) -> State after one batch.
      evaluate: (State, hyper, batch, members) -> (sum of losses, number correct), each (S,), over the examples of each of S
        sets, with members (B, S) saying which example is in which set. The model is in evaluation mode, the loss that of
        :func:`evaluation_loss`.
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
    """(logits, labels) -> scalar, the loss that a canonical spec trains with."""
    return partial(LOSSES[spec["loss"]["name"]].load(), **_options(spec["loss"]))


def evaluation_loss(spec: Mapping[str, Any]) -> Callable[[Array, Array], Array]:
    """(logits, labels) -> scalar, the same loss of the labels themselves: smoothed ones are the training's alone."""
    return partial(LOSSES[spec["loss"]["name"]].load(), **_options(spec["loss"], "label_smoothing"))


def make_program(
    spec: Mapping[str, Any], classes: int, examples: int, scaling: Scaling | None = None, layout: Layout = ONE
) -> Program:
    """The functions of the run that a canonical spec describes. Hyper-parameters in the spec are not read here.

    Args:
      spec: canonical.
      classes: number of labels.
      examples: to train on.
      scaling: of the data's inputs; None: they are used as they are.
      layout: of the devices.
    """
    training, optimization = spec["training"], spec["optimizer"]
    batch_size, accumulate = training["batch_size"], training["accumulate"]
    streamed = DATASETS[spec["data"]["name"]].streamed
    augment = partial(AUGMENTATIONS[spec["augmentation"]["name"]].load(), **_options(spec["augmentation"]))
    make_model, loss_fn, evaluated_loss = model_factory(spec, classes), loss_function(spec), evaluation_loss(spec)
    if training["precision"] != "float32":
        make_model = partial(make_model, dtype=jnp.dtype(training["precision"]))
    method = partial(METHODS[spec["method"]["name"]].load(), **_options(spec["method"], "strength"))
    if spec["method"].get("m") is not None:
        method = partial(method, mesh=layout.mesh)
    optimizer = partial(
        sgd,
        nesterov=optimization["nesterov"],
        decayed_parameters=optimization["decayed"],
        clip=optimization["clip_norm"] is not None,
    )

    def model(hyper: Hyperparameters) -> Any:
        return make_model(activation=activations.from_spec(spec["activation"], hyper.beta))

    def scaled(inputs: Array) -> Array:
        return inputs if scaling is None else scaling(inputs)

    def init(seed: Array, hyper: Hyperparameters, example: Array) -> State:
        init_key, key = jax.random.split(jax.random.key(seed))
        variables = model(hyper).init(init_key, scaled(example), train=False)
        params = variables["params"]
        return State(
            params,
            variables.get("batch_stats", {}),
            optimizer(hyper, params).init(params),
            jnp.zeros((), jnp.int32),
            key,
            jnp.arange(0 if streamed else examples, dtype=jnp.int32),
            jnp.zeros(()),
        )

    def begin_epoch(state: State) -> State:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 0), state.step)
        return state._replace(order=permutation(key, len(state.order)), loss=jnp.zeros_like(state.loss))

    def batch_of(state: State, data: Data) -> Data:
        if streamed:
            return data
        start = (state.step % (examples // batch_size)) * batch_size
        indices = jax.lax.dynamic_slice_in_dim(state.order, start, batch_size)
        key = jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step)
        return augment(data[0], indices, key), data[1][indices]

    def step(state: State, hyper: Hyperparameters, data: Data) -> State:
        def apply(params: Any, inputs: Array) -> tuple[Array, Any]:
            variables = {"params": params, "batch_stats": state.batch_stats}
            logits, updates = model(hyper).apply(variables, inputs, train=True, mutable=["batch_stats"])
            return logits, updates.get("batch_stats", {})

        def update(argument: tuple[Data, Array]) -> Update:
            (inputs, labels), key = argument
            logits_fn = in_groups(apply, training["batch_norm_group"])
            return method(logits_fn, loss_fn, state.params, (scaled(inputs), labels), key, hyper.strength)

        batch = batch_of(state, data)
        key = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.step)
        if accumulate == 1:
            found = update((jax.tree.map(layout.shared, batch), key))
        else:
            parts = jax.tree.map(partial(layout.shared, axis=1), split(batch, accumulate))
            found = mean_in_turn(update, (parts, jax.random.split(key, accumulate)))
        descent, momentum = optimizer(hyper, state.params).update(found.direction, state.momentum, state.params)
        rate = learning_rate(state.step, hyper)
        return State(
            optax.apply_updates(state.params, jax.tree.map(lambda d: -rate * d, descent)),
            found.state,
            momentum,
            state.step + 1,
            state.key,
            state.order,
            state.loss + found.loss,
        )

    def evaluate(state: State, hyper: Hyperparameters, batch: Data, members: Array) -> tuple[Array, Array]:
        inputs, labels = jax.tree.map(layout.shared, batch)
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        logits = model(hyper).apply(variables, scaled(inputs), train=False)
        losses = jax.vmap(lambda z, y: evaluated_loss(z[None], y[None]))(logits, labels)
        correct = jnp.argmax(logits, axis=1) == labels
        # `where`, as 0·∞ would carry one set's overflow into another.
        sums = jnp.sum(jnp.where(members, losses[:, None], 0), axis=0)
        return sums, jnp.sum(members & correct[:, None], axis=0)

    return Program(init, begin_epoch, step, evaluate)


def in_groups(apply: LogitsFn, group: int | None) -> LogitsFn:
    """A model in training mode that normalises groups of so many examples by themselves, as data-parallel training does.

    A batch of no more than a group is one group. Running averages are the means over groups; what has none, a counter say, is
    that of the first. (Goyal et al. 2018, section 2.3.)

    Args:
      apply: (params, inputs) -> (logits, running averages).
      group: divides the batch; None: normalisation is over all of it.

    Raises:
      ValueError: by the model; the group does not divide the batch.
    """

    def grouped(params: Any, inputs: Any) -> tuple[Any, Any]:
        if group is None or (size := examples(inputs)) <= group:
            return apply(params, inputs)
        if size % group:
            raise ValueError(f"groups of {group} examples do not divide a batch of {size}")
        logits, state = jax.vmap(apply, in_axes=(None, 0))(params, split(inputs, size // group))
        return jax.tree.map(lambda z: z.reshape(size, *z.shape[2:]), logits), mean_of_parts(state)

    return grouped
