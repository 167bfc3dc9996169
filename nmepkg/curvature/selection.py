"""Parts of a pytree of parameters, by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax

from nmepkg.curvature.parameters import layer_names
from nmepkg.curvature.types import Params

Only: TypeAlias = str | Sequence[str] | Callable[[str], bool] | None


def names(params: Params) -> list[str]:
    """The name of each leaf, in the order of ``jax.tree.leaves``: its path, as ``Dense_0/kernel``.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg.curvature import selection
      >>> selection.names({"Dense_0": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}})
      ['Dense_0/bias', 'Dense_0/kernel']
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def layers(params: Params, depth: int | None = None) -> dict[str, list[str]]:
    """Layer -> the names of its parameters, in the order of ``jax.tree.leaves``: what ``only`` and ``Operator.block`` take.

    Args:
      params: a pytree.
      depth: how many components of a path name a layer, as 1 for ``Block_1`` with all that is in it; all but the last, the
        parameter's own, unless given, as ``Block_1/Conv_0``. Parameters at the root of the tree are layer ``/``.

    Example:
      >>> from nmepkg import curvature
      >>> params = {"gain": 1.0, "block": {"one": {"w": 2.0, "b": 3.0}, "two": {"w": 4.0}}}
      >>> curvature.layers(params)
      {'block/one': ['block/one/b', 'block/one/w'], 'block/two': ['block/two/w'], '/': ['gain']}
      >>> list(curvature.layers(params, depth=1))
      ['block', '/']
    """
    found: dict[str, list[str]] = {}
    for layer, name in zip(layer_names(params), names(params), strict=True):
        found.setdefault("/".join(layer.split("/")[:depth]) or "/", []).append(name)
    return found


def split(params: Params, only: Only) -> tuple[Params, Params]:
    """(what ``only`` names, the rest): each is the tree with ``None``, which has no leaves, in place of the other's.

    Args:
      params: a pytree.
      only: names, or beginnings of paths (``Dense_0`` is all of that layer); or a function of a name; ``None`` is all.

    Raises:
      ValueError: a name is that of no parameter, or nothing is chosen.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg.curvature import selection
      >>> selection.split({"one": {"w": 1.0, "b": 2.0}, "two": {"w": 3.0}}, ["one"])
      ({'one': {'b': 2.0, 'w': 1.0}, 'two': {'w': None}}, {'one': {'b': None, 'w': None}, 'two': {'w': 3.0}})
      >>> selection.split({"one": {"w": 1.0, "b": 2.0}}, lambda name: name.endswith("w"))[0]
      {'one': {'b': None, 'w': 1.0}}
    """
    leaves, structure = jax.tree.flatten(params)
    mask = _mask(names(params), only)
    halves = (
        [leaf if taken is wanted else None for leaf, taken in zip(leaves, mask, strict=True)]
        for wanted in (True, False)
    )
    chosen, rest = (jax.tree.unflatten(structure, half) for half in halves)
    return chosen, rest


def _mask(found: list[str], only: Only) -> list[bool]:
    if only is None:
        return [True] * len(found)
    if callable(only):
        mask = [bool(only(name)) for name in found]
    else:
        wanted = [only] if isinstance(only, str) else list(only)
        for prefix in wanted:
            if not any(_begins(name, prefix) for name in found):
                raise ValueError(f"only: no parameter is called {prefix!r}; there are {', '.join(found)}")
        mask = [any(_begins(name, prefix) for prefix in wanted) for name in found]
    if not any(mask):
        raise ValueError(f"only: it chooses none of the parameters {', '.join(found)}")
    return mask


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}/")


def merge(chosen: Params, rest: Params) -> Params:
    """The tree that :func:`split` took apart.

    Example:
      >>> from nmepkg.curvature import selection
      >>> selection.merge({"one": 1.0, "two": None}, {"one": None, "two": 2.0})
      {'one': 1.0, 'two': 2.0}
    """

    def either(x: Any, y: Any) -> Any:
        return y if x is None else x

    return jax.tree.map(either, chosen, rest, is_leaf=lambda leaf: leaf is None)
