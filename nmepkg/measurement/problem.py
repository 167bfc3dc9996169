"""What every measurement starts from: a model at any θ, its loss, and the data that it is measured on.

A measurement is a factory ``make(problem, **options) -> measure(params, context, key) -> values``: it compiles once and is
called at each step that is measured. ``values`` is JSON-able, Python floats, with the measurement's quantities at its top;
those of one with an option ``radii`` are lists, a number a radius.
What differs between runs of one shape (θ, running averages, β) is an argument, so that they share the compilation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from nmepkg.curvature import Products, linearize

Params = Any  # a pytree of arrays
# What else the model depends on and is held constant: running averages, β. And of the point: how many steps were taken, and a
# memory, a dict that is empty at a run's first point, where a measurement may leave what its next one begins with.
Context = Any
Batch = tuple[Array, Array]


class Problem(NamedTuple):
    """A model and the data that it is measured on.

    The loss is the mean over all batches of the mean over the examples of a batch: with BatchNorm in training mode, each
    batch is normalised by itself, as in training. Without BatchNorm, and where all is a sum over batches, ``together`` does
    not matter; it does to what is not linear in the gradient.

    Attributes:
      logits_fn: (params, context, inputs (B, …)) -> logits (B, C).
      ablated_logits_fn: the same model with φ'' := 0.
      preactivations_fn: (params, context, inputs) -> the input of every activation, by its place in the order of calls.
      activation: (context, x) -> φ(x), elementwise.
      loss_fn: (logits, labels) -> scalar, a mean over examples.
      batches: of equal size, at least one.
      together: of how many batches, one after another, the gradient is taken as one; divides their number.
      edge: steps taken -> the curvature from which on the run's optimiser is unstable; ∞ where there is no run.
    """

    logits_fn: Callable[[Params, Context, Array], Array]
    ablated_logits_fn: Callable[[Params, Context, Array], Array]
    preactivations_fn: Callable[[Params, Context, Array], list[Array]]
    activation: Callable[[Context, Array], Array]
    loss_fn: Callable[[Array, Array], Array]
    batches: tuple[Batch, ...]
    together: int = 1
    edge: Callable[[int], float] = lambda step: math.inf

    def linearize(self, params: Params, context: Context, batch: Batch) -> Products:
        """Products with the curvature of one batch's loss at θ; call it inside ``jax.jit`` and return only what is used."""
        inputs, labels = batch
        return linearize(lambda p: self.logits_fn(p, context, inputs), lambda z: self.loss_fn(z, labels), params)


Measure = Callable[[Params, Context, Array], dict[str, Any]]
