"""What of a batch a model normalises together, and what it is applied to at once."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from nmepkg.methods.base import ApplyFn
from nmepkg.methods.parts import examples, mean_of_parts, split
from nmepkg.training.devices import ONE, Layout


def in_groups(apply: ApplyFn, group: int | None) -> ApplyFn:
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


def in_parts(apply: ApplyFn, size: int, together: int = 1, layout: Layout = ONE) -> ApplyFn:
    """A model in training mode that is applied to ``size`` examples at a time, for memory's sake.

    Logits, and all derivatives of them, are the same up to rounding, so every method perturbs and penalises what it does on the
    whole batch. A part keeps nothing for the backward pass but its inputs, and is computed once more there: memory is that of
    one part, at the price of a forward pass more a gradient (Chen et al. 2016).

    Args:
      apply: (params, inputs) -> (logits, running averages), which mixes no examples but those of a group of :func:`in_groups`.
      size: examples of a part; a batch of no more is taken whole.
      together: the size of such a group, which divides ``size``. Groups are dealt out to the parts in turn, so that each device
        has as many of each part.
      layout: of the devices that share each part.

    Returns:
      A model whose running averages are the means over parts; what has none, a counter say, is that of the first.

    Raises:
      ValueError: parts do not divide the batch.
    """

    def taken(params: Any, inputs: Any) -> tuple[Any, Any]:
        if (count := examples(inputs)) <= size:
            return apply(params, inputs)
        if count % size:
            raise ValueError(f"parts of {size} examples do not divide a batch of {count}")
        parts = count // size

        def dealt(x: Array) -> Array:
            hands = jnp.moveaxis(x.reshape(-1, parts, together, *x.shape[1:]), 1, 0)
            return layout.shared(hands.reshape(parts, size, *x.shape[1:]), axis=1)

        def collected(z: Array) -> Array:
            return jnp.moveaxis(z.reshape(parts, -1, together, *z.shape[2:]), 0, 1).reshape(count, *z.shape[2:])

        # One after another by a loop, of which XLA cannot merge the two passes, as it would for parts that are written out.
        one = jax.checkpoint(lambda part: apply(params, part), prevent_cse=False)
        logits, state = jax.lax.map(one, jax.tree.map(dealt, inputs))
        return jax.tree.map(collected, logits), mean_of_parts(state)

    return taken
