"""Pytrees as vectors: products and norms in single precision at least, which neither overflow nor underflow."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from nmepkg.curvature.types import Params, Scalar


def refuse_complex(tree: Params) -> None:
    """Raises TypeError if a leaf is complex: JAX's gradient is then the conjugate of the direction of ascent."""
    if any(jnp.issubdtype(jnp.result_type(leaf), jnp.complexfloating) for leaf in jax.tree.leaves(tree)):
        raise TypeError("complex parameters are not supported: take their real and imaginary parts as two arrays")


def single(leaf: ArrayLike) -> Array:
    """A leaf in float32, or as it is where it is more precise."""
    return jnp.asarray(leaf, _precise(leaf))


def _precise(leaf: ArrayLike) -> Any:
    """The type of a leaf, or float32 where that is more precise."""
    dtype = jnp.result_type(leaf)
    return dtype if jnp.issubdtype(dtype, jnp.inexact) and dtype.itemsize >= 4 else jnp.dtype(jnp.float32)


def dot(x: Params, y: Params) -> Scalar:
    """⟨x, y⟩ of two pytrees of one structure, as a scalar. No device shortens its factors, whatever JAX is set to."""
    x, y = _of_one_type((x, y))
    leaves = jax.tree.leaves(jax.tree.map(functools.partial(jnp.vdot, precision="highest"), x, y))
    return functools.reduce(jnp.add, leaves, jnp.zeros((), _widest((x, y))))


def _widest(tree: Params) -> Any:
    """The most precise type of a leaf, float32 at least."""
    types = map(_precise, jax.tree.leaves(tree))
    return max(types, key=lambda dtype: dtype.itemsize, default=jnp.dtype(jnp.float32))


def _of_one_type(tree: Params) -> Params:
    """The tree with every leaf of the most precise one's type."""
    dtype = _widest(tree)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree)


def norm(tree: Params) -> Scalar:
    """The Euclidean norm of a pytree, 0 where it has no entries, as a scalar. See :func:`normalize`."""
    _, scale, length = _scaled(tree)
    return length * scale


def normalize(tree: Params) -> tuple[Params, Scalar]:
    """(t/‖t‖, ‖t‖), and zeros for a zero t, where t/‖t‖ is not defined: there a method's step is SGD's.

    The largest entry is divided out first, so that squares neither overflow nor underflow. The unit vector is of the types of
    ``tree``, its length of float32 at least.
    """
    scaled, scale, length = _scaled(tree)
    divisor = jnp.where(length > 0, length, 1)
    return jax.tree.map(lambda x, t: (x / divisor).astype(jnp.result_type(t)), scaled, tree), length * scale


def _scaled(tree: Params) -> tuple[Params, Scalar, Scalar]:
    """(t/s, s, ‖t/s‖) with s of :func:`divisor`, whose own derivative cancels out of what is made of them, or overflows."""
    precise = _of_one_type(tree)
    entries = [jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(precise)]
    largest = functools.reduce(jnp.maximum, entries, jnp.zeros((), _widest(tree)))
    scale = divisor(jax.lax.stop_gradient(largest))
    scaled = jax.tree.map(lambda leaf: leaf / scale, precise)
    return scaled, scale, jnp.sqrt(dot(scaled, scaled))


def divisor(largest: Scalar) -> Scalar:
    """What to divide numbers up to ``largest`` by, so that their squares are in range: that, or 1 if it is 0.

    It is a sixteenth of the type's largest number at most, as compilers multiply by the reciprocal, and flush one to zero.
    """
    bounded = jnp.minimum(largest, jnp.finfo(largest.dtype).max / 16)
    return jnp.where(largest == 0, 1, bounded)
