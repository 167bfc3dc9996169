"""One compiled step of training, with what a run needs around it: initial state, order of batches, evaluation.

Everything here is pure. What a recipe fixes is constant (model, method, shapes); what a grid varies is traced
(:class:`~nmepkg.training.optimizer.Hyperparameters`, the seed), so that runs of one shape share one compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from nmepkg.data.store import Scaling
from nmepkg.methods.base import ApplyFn, Method, Update
from nmepkg.methods.parts import Execution
from nmepkg.registry import AUGMENTATIONS, DATASETS, METHODS, OPTIMIZERS
from nmepkg.specs import Choice, Recipe
from nmepkg.training import build
from nmepkg.training.decay import in_loss, penalty
from nmepkg.training.devices import ONE, Layout
from nmepkg.training.grouping import in_groups, in_parts
from nmepkg.training.optimizer import Hyperparameters, learning_rate, transformation

Data = tuple[Array, Array]


class State(NamedTuple):
    """A training between two steps.

    Attributes:
      params: parameters of the model.
      batch_stats: its running averages; empty without BatchNorm.
      optimizer: its state.
      step: steps taken.
      key: PRNG key of the run; draws are folded from it by step or epoch, never by history.
      order: (N,) the epoch's permutation of the training examples; empty where they are streamed.
      loss: sum of the clean losses since the epoch began.
    """

    params: Any
    batch_stats: Any
    optimizer: Any
    step: Array
    key: Array
    order: Array
    loss: Array


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


@dataclass(frozen=True, eq=False)  # equal to itself alone: what is compiled of one is kept with it
class Program:
    """The functions of a run, ready to be compiled.

    ``data`` is what a step takes examples from: (inputs, labels) of the whole training set, and maybe more behind it, on the
    device; or where data are streamed, those of the batch.

    Attributes:
      model: hyper-parameters -> Flax module, with the activation's β among them.
      ablated_model: the same with φ'' := 0, for a method that takes both; None for others.
      loss, evaluation_loss: (logits, labels) -> scalar.
      method: gives a direction.
      decay_in_loss: which parameters decay as a part of the loss that the method sees; None: none.
      optimizer: (hyper-parameters, params) -> what becomes of it.
      scaling: of the data's inputs; None: they are used as they are.
      augment: (all inputs, (B,) places, key) -> (B, …) inputs of a batch; None: batches are streamed.
      batch_size: examples of a step.
      parts: see :func:`in_parts`.
      batch_norm_group: see :func:`in_groups`.
      examples: to train on.
      matmul_precision: of products of float32 numbers, as JAX calls it; it holds whatever the caller's setting is.
      layout: of the devices.
    """

    model: Callable[[Hyperparameters], Any]
    ablated_model: Callable[[Hyperparameters], Any] | None
    loss: build.Loss
    evaluation_loss: build.Loss
    method: Method
    decay_in_loss: str | None
    optimizer: Callable[[Hyperparameters, Any], optax.GradientTransformation]
    scaling: Scaling | None
    augment: Callable[[Array, Array, Array], Array] | None
    batch_size: int
    parts: Callable[[ApplyFn], ApplyFn]
    batch_norm_group: int | None
    examples: int
    matmul_precision: str
    layout: Layout

    def init(self, seed: Array, hyper: Hyperparameters, example: Array) -> State:
        """Where a run begins, from one example (1, …) of the data."""
        init_key, key = jax.random.split(jax.random.key(seed))
        variables = self.model(hyper).init(init_key, self._scaled(example), train=False)
        params = variables["params"]
        return State(
            params,
            variables.get("batch_stats", {}),
            self.optimizer(hyper, params).init(params),
            jnp.zeros((), jnp.int32),
            key,
            jnp.arange(0 if self.augment is None else self.examples, dtype=jnp.int32),
            jnp.zeros(()),
        )

    def begin_epoch(self, state: State) -> State:
        """The state with a fresh order."""
        key = jax.random.fold_in(jax.random.fold_in(state.key, 0), state.step)
        return state._replace(order=permutation(key, len(state.order)), loss=jnp.zeros_like(state.loss))

    def step(self, state: State, hyper: Hyperparameters, data: Data) -> State:
        """The state after one batch."""
        key = jax.random.fold_in(jax.random.fold_in(state.key, 1), state.step)
        with jax.default_matmul_precision(self.matmul_precision):
            found = self._update(state, hyper, self._batch(state, data), key)
        descent, optimizer = self.optimizer(hyper, state.params).update(found.direction, state.optimizer, state.params)
        rate = learning_rate(state.step, hyper)
        return State(
            optax.apply_updates(state.params, jax.tree.map(lambda d: -rate * d, descent)),
            found.state,
            optimizer,
            state.step + 1,
            state.key,
            state.order,
            state.loss + found.loss,
        )

    def evaluate(self, state: State, hyper: Hyperparameters, batch: Data, members: Array) -> tuple[Array, Array]:
        """(sum of losses, number correct), each (S,), over the examples of each of S sets.

        The model is in evaluation mode.

        Args:
          state, hyper: of the run.
          batch: inputs and labels of B examples.
          members: (B, S), which example is in which set.
        """
        inputs, labels = jax.tree.map(self.layout.shared, batch)
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        with jax.default_matmul_precision(self.matmul_precision):
            logits = self.model(hyper).apply(variables, self._scaled(inputs), train=False)
        losses = jax.vmap(lambda z, y: self.evaluation_loss(z[None], y[None]))(logits, labels)
        correct = jnp.argmax(logits, axis=1) == labels
        # `where`, as 0·∞ would carry one set's overflow into another.
        sums = jnp.sum(jnp.where(members, losses[:, None], 0), axis=0)
        return sums, jnp.sum(members & correct[:, None], axis=0)

    def _scaled(self, inputs: Array) -> Array:
        return inputs if self.scaling is None else self.scaling(inputs)

    def _batch(self, state: State, data: Data) -> Data:
        if self.augment is None:
            return data
        start = (state.step % (self.examples // self.batch_size)) * self.batch_size
        places = jax.lax.dynamic_slice_in_dim(state.order, start, self.batch_size)
        key = jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step)
        return self.augment(data[0], places, key), data[1][places]

    def _loss(self, logits: Any, labels: Array) -> Array:
        """The loss as the method sees it, of both logits where there are two."""
        return self.loss(logits if self.ablated_model is None else logits[0], labels)

    def _update(self, state: State, hyper: Hyperparameters, batch: Data, key: Array) -> Update:
        """The method's step on a batch."""

        def apply(params: Any, inputs: Array) -> tuple[Array, Any]:
            variables = {"params": params, "batch_stats": state.batch_stats}
            logits, updates = self.model(hyper).apply(variables, inputs, train=True, mutable=["batch_stats"])
            if self.ablated_model is not None:
                ablated, _ = self.ablated_model(hyper).apply(variables, inputs, train=True, mutable=["batch_stats"])
                logits = (logits, ablated)
            return logits, updates.get("batch_stats", {})

        inputs, labels = jax.tree.map(self.layout.shared, batch)
        batch = self._scaled(inputs), labels
        model = self.parts(in_groups(apply, self.batch_norm_group))
        if (which := self.decay_in_loss) is None:
            return self.method(model, self._loss, state.params, batch, key, hyper.strength)
        decayed = in_loss(model, self._loss, hyper.weight_decay, which)
        found = self.method(*decayed, state.params, batch, key, hyper.strength)
        # What is recorded is the loss of the data.
        return found._replace(loss=found.loss - penalty(state.params, hyper.weight_decay, which))


def make_program(
    recipe: Recipe, classes: int, examples: int, scaling: Scaling | None = None, layout: Layout = ONE
) -> Program:
    """The functions of a run. Hyper-parameters of the recipe are not read here.

    Args:
      recipe: of the run.
      classes: number of labels.
      examples: to train on.
      scaling: of the data's inputs; None: they are used as they are.
      layout: of the devices.
    """
    training, optimizer = recipe.training, recipe.optimizer
    make_model = build.model(recipe, classes, training.precision)
    augmentation = AUGMENTATIONS[recipe.augmentation.name]
    ablated = replace(recipe.activation, second_derivative=Choice("zero"))
    pair = METHODS[recipe.method.name].pair
    return Program(
        model=lambda hyper: make_model(activation=build.activation(recipe.activation, hyper.beta)),
        ablated_model=(lambda hyper: make_model(activation=build.activation(ablated, hyper.beta))) if pair else None,
        loss=build.loss(recipe),
        evaluation_loss=build.evaluation_loss(recipe),
        method=_method(recipe, layout),
        decay_in_loss=optimizer.decayed if optimizer.decay_in_loss else None,
        optimizer=partial(
            transformation,
            partial(OPTIMIZERS[optimizer.name].load(), **optimizer.switches),
            decayed_parameters=None if optimizer.decay_in_loss else optimizer.decayed,
            clip=optimizer.clip_norm is not None,
        ),
        scaling=scaling,
        augment=None
        if DATASETS[recipe.data.name].streamed
        else partial(augmentation.load(), **recipe.augmentation.options),
        batch_size=training.batch_size,
        # A method's groups are shared out by the method.
        parts=partial(
            in_parts,
            size=training.examples_at_once,
            together=training.batch_norm_group or 1,
            layout=ONE if recipe.method.m else layout,
        ),
        batch_norm_group=training.batch_norm_group,
        examples=examples,
        matmul_precision=training.matmul_precision,
        layout=layout,
    )


def _method(recipe: Recipe, layout: Layout) -> Method:
    entry, options = METHODS[recipe.method.name], dict(recipe.method.options)
    if "m" in entry.options:  # others have no parts
        options["execution"] = Execution(layout.unroll, layout.mesh)
    return entry.load()(**options)
