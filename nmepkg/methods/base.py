"""What every method shares: its signature, and the clean pass.

A method is made by a factory from its options, ``psam(m=32)``, and is then a pure function

    method(apply_fn, loss_fn, params, batch, key, strength) -> Update

Parameters, inputs, labels, logits and state are pytrees. Parameters are real numbers, of one floating type or several: sums
and perturbed parameters are of float32 at least, or rounding would eat a small step. The first axis of inputs and labels is
that of examples.

BatchNorm: every pass of a method, and every curvature product, normalises with the statistics of the examples that it
sees, as functions of the parameters (they are differentiated through). The running averages come from the clean pass at
θ alone: passes at perturbed parameters leave them as they are. (The paper does not say what it does.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import PyTree

from nmepkg.curvature.types import Key, Logits, LogitsFn, LossFn, Params, Scalar
from nmepkg.curvature.vectors import refuse_complex, single

State: TypeAlias = PyTree  # the running averages of a model
Batch = tuple[Any, Any]  # inputs and labels
ApplyFn = Callable[[Params, Any], tuple[Any, State]]  # (params, inputs) -> (logits, state) of a model in training mode
LabelledLossFn = Callable[[Logits, Any], Scalar]  # (logits, labels) -> loss


class Update(NamedTuple):
    """What one step of a method gives.

    Attributes:
      direction: what takes the gradient's place in the optimiser; of the structure, shapes and types of the parameters.
      state: the model's running averages after the clean pass.
      loss: loss of the clean pass, without penalty; scalar.
    """

    direction: Params
    state: State
    loss: Scalar


@runtime_checkable
class Method(Protocol):
    """A training method, as the factories of this package make them."""

    def __call__(
        self,
        apply_fn: ApplyFn,
        loss_fn: LabelledLossFn,
        params: Params,
        batch: Batch,
        key: Key,
        strength: ArrayLike,
        /,
    ) -> Update:
        """What the optimiser descends.

        Args:
          apply_fn: the model in training mode, with the running averages that it would keep.
          loss_fn: of logits and labels, a mean over examples.
          params: θ.
          batch: inputs and labels.
          key: PRNG key; only methods that draw at random look at it.
          strength: ρ or σ², a scalar that may be traced. At 0 the direction is the gradient.
        """
        ...


def loss_and_gradient(
    apply_fn: ApplyFn, loss_fn: LabelledLossFn, params: Params, batch: Batch
) -> tuple[Scalar, State, Params]:
    """The clean pass: (loss, state, ∇L) at θ on the batch.

    Raises:
      TypeError: a parameter is complex.
    """
    refuse_complex(params)
    inputs, labels = batch

    def objective(params: Params) -> tuple[Scalar, State]:
        logits, state = apply_fn(params, inputs)
        return loss_fn(logits, labels), state

    (loss, state), gradient = jax.value_and_grad(objective, has_aux=True)(params)
    return loss, state, gradient


def on_batch(apply_fn: ApplyFn, loss_fn: LabelledLossFn, batch: Batch) -> tuple[LogitsFn, LossFn]:
    """(θ ↦ logits, logits ↦ loss) on one batch, as curvature products take them."""
    inputs, labels = batch
    return lambda params: apply_fn(params, inputs)[0], lambda logits: loss_fn(logits, labels)


def add_scaled(tree: Params, scale: ArrayLike, other: Params) -> Params:
    """tree + scale · other, of the types of ``tree``."""
    return jax.tree.map(lambda x, y: _sum(x, scale, y).astype(jnp.result_type(x)), tree, other)


def shifted(apply_fn: ApplyFn, scale: ArrayLike, v: Params) -> ApplyFn:
    """The model at θ + scale · v as a function of θ, so that its gradient is of the types of θ whatever those of the sum."""

    def at(params: Params, inputs: Any) -> tuple[Any, State]:
        return apply_fn(jax.tree.map(lambda x, y: _sum(x, scale, y), params, v), inputs)

    return at


def _sum(x: ArrayLike, scale: ArrayLike, y: ArrayLike) -> Array:
    """x + scale · y in the more precise of the types of x and y, float32 at least."""
    a, b = single(x), single(y)
    dtype = max(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
    return a.astype(dtype) + jnp.asarray(scale, dtype) * b.astype(dtype)
