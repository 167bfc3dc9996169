"""The data of an operator: one batch, a list of them, or a loader, with each batch's share of the whole.

A loss that is a mean over examples is, over batches of n_b examples, Σ_b (n_b/n) L_b: a smaller last batch weighs
less, and so do its products.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

Batch: TypeAlias = Any  # a pytree of arrays
Weight: TypeAlias = Callable[[Batch], float]


class Data(NamedTuple):
    """Batches that come again, the same, whenever they are iterated.

    Attributes:
      source: of the batches.
      shares: of each, of sum 1.
      held: whether they are in memory all along.
    """

    source: Iterable[Batch]
    shares: tuple[float, ...]
    held: bool

    def batches(self) -> Iterator[tuple[Batch, float]]:
        """Each batch with its share, but those that have none.

        Raises:
          ValueError: there are more or fewer than at first.
        """
        count = 0
        for batch in self.source:
            if count < len(self.shares) and self.shares[count]:
                yield batch if self.held else _arrays(batch), self.shares[count]
            count += 1
        if count != len(self.shares):
            raise ValueError(_other_number(len(self.shares), count))


def read(data: Any, weight: Weight | None = None) -> Data:
    """One batch, a list of batches, or a loader, as :class:`Data`.

    Args:
      data: a list is a list of batches; what can be iterated and is no pytree is a loader; any other pytree is a
        batch. A loader is read twice, to see that it gives the same again. ``None``, of functions that take no batch, is
        one batch, ``None``.
      weight: batch -> what it weighs; without it, the number of its examples, the length of its arrays' first axis.

    Raises:
      TypeError: the loader can be read only once.
      ValueError: there is no batch, or its arrays are not of one length, a weight is negative or none is positive, or
        the loader gives something else at its second pass.
    """
    if data is None:
        return Data([None], (1.0,), True)
    weight = examples if weight is None else weight
    loader = not isinstance(data, list) and _is_loader(data)
    if loader:
        weights = _same_twice(data, weight)
    else:
        data = [_on_device(batch) for batch in (data if isinstance(data, list) else [data])]
        weights = [float(weight(batch)) for batch in data]
    total = math.fsum(weights)
    if not weights:
        raise ValueError(f"the {'loader' if loader else 'list'} has no batch")
    if not (math.isfinite(total) and min(weights) >= 0 and total > 0):
        raise ValueError(f"the weights of batches must be 0 or more, and one of them above, and are {weights}")
    return Data(data, tuple(number / total for number in weights), not loader)


def examples(batch: Batch) -> int:
    """The length of the first axis of a batch's arrays; numbers and keys that have no axis are left out.

    Raises:
      ValueError: there is none, or they differ.
    """
    lengths = sorted({np.shape(leaf)[0] for leaf in jax.tree.leaves(batch) if np.ndim(leaf)})
    if len(lengths) != 1:
        found = f"lengths {lengths}" if lengths else "no axis"
        raise ValueError(
            f"a batch's number of examples is the first axis of its arrays, which have {found}: give weight="
        )
    return int(lengths[0])


def _is_loader(data: Any) -> bool:
    if hasattr(data, "shape") or not jax.tree_util.all_leaves([data]) or not hasattr(data, "__iter__"):
        return False
    if hasattr(data, "__next__"):
        raise TypeError(
            f"a {type(data).__name__} can be read once only: give list(…) of it, or what can be iterated again"
        )
    return True


def _same_twice(loader: Iterable[Batch], weight: Weight) -> list[float]:
    """The weights of a loader's batches, if a second pass gives the same batches."""
    first = [(float(weight(batch)), _digest(batch)) for batch in map(_arrays, loader)]
    count = 0
    for batch in map(_arrays, loader):
        if count < len(first) and _digest(batch) != first[count][1]:
            raise ValueError(
                f"batch {count} of the loader has other shapes or numbers at a second pass: switch off what "
                "shuffles or augments, fix its seed for every pass, or give a list of batches"
            )
        count += 1
    if count != len(first):
        raise ValueError(_other_number(len(first), count))
    return [number for number, _ in first]


def _other_number(first: int, then: int) -> str:
    return (
        f"the loader gave {first} batches and at a later pass {then}: give one that gives the same each time, or a list"
    )


def _digest(batch: Batch) -> str:
    """Of structure, shapes, types and numbers."""
    leaves, structure = jax.tree.flatten(batch)
    hashed = hashlib.blake2b(str(structure).encode())
    for leaf in leaves:
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        hashed.update(f"{array.shape} {array.dtype}".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def _arrays(batch: Batch) -> Batch:
    """A batch whose leaves are arrays of JAX's or NumPy's; a PyTorch tensor on the CPU becomes one."""
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else np.asarray(leaf), batch)


def _on_device(batch: Batch) -> Batch:
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else jnp.asarray(np.asarray(leaf)), batch)
