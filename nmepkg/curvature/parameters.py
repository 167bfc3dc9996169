"""Layers of a model: parameters by the module that they belong to."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from nmepkg.curvature.types import Params


def layer_names(params: Params) -> list[str]:
    """The layer of each leaf, in the order of ``jax.tree.leaves``: its path but for the last key, as ``Block_1/Conv_0``.

    A module's kernel and bias are one layer; leaves at the root of the tree are layer ``/``.
    """
    paths = [_named(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    return [jax.tree_util.keystr(path[:-1], simple=True, separator="/") or "/" for path in paths]


def normalizes(path: tuple[Any, ...]) -> bool:
    """Whether a parameter, by its path in the tree, is a scale or bias of a normalisation layer.

    They are recognised by name: what lies under a key with "norm" in it, as Flax's ``BatchNorm_0`` and ``LayerNorm_0``.
    """
    return "norm" in jax.tree_util.keystr(path).lower()


def is_kernel(path: tuple[Any, ...], leaf: Any) -> bool:
    """Whether a parameter, by its path in the tree, is what features are multiplied with.

    Flax's ``kernel`` of any shape, and by other names what has two axes or more, but nothing of a normalisation layer, no bias,
    though those of attention have two axes, and no embedding of positions.
    """
    name = jax.tree_util.keystr(_named(path)[-1:], simple=True).lower()
    return not normalizes(path) and (name == "kernel" or (np.ndim(leaf) >= 2 and not _is_added(name)))


def _named(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """A path that ends with a parameter's name, where Flax NNX has ``.value`` of its variable behind it."""
    return path[:-1] if path[1:] and path[-1] == jax.tree_util.GetAttrKey("value") else path


def _is_added(name: str) -> bool:
    """Whether a parameter, by its name, is added to features, or scales them one by one."""
    return any(word in name for word in ("bias", "scale", "position", "pos_emb"))


def layer_of_entries(params: Params) -> Int[np.ndarray, " size"]:
    """(P,) the layer of each entry of the flat parameter vector, as a number; two entries are of one layer if it agrees."""
    _, numbers = np.unique(layer_names(params), return_inverse=True)
    return np.repeat(numbers, [np.size(leaf) for leaf in jax.tree.leaves(params)])
