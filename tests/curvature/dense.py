"""Operators of dense matrices, for the tests of what is made of operators."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nmepkg import curvature


@jax.jit
def _product(matrix, v):
    y = matrix @ jnp.concatenate([v["a"], v["b"]])
    return {"a": y[:2], "b": y[2:]}


def operator(matrix) -> curvature.Operator:
    """On pytrees of two leaves, compiled."""
    matrix = jnp.asarray(matrix)
    like = {"a": jnp.zeros(2, matrix.dtype), "b": jnp.zeros(len(matrix) - 2, matrix.dtype)}
    return curvature.Operator(like, lambda vectors: [_product(matrix, v) for v in vectors])


def symmetric(values, seed=0) -> np.ndarray:
    """A matrix with the given eigenvalues."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    return (q * np.asarray(values)) @ q.T


def low_rank(size, rank, seed=0) -> np.ndarray:
    """A matrix of rank ``rank``, with eigenvalues of both signs."""
    return symmetric(np.concatenate([(-1.0) ** np.arange(rank) * (1 + np.arange(rank)), np.zeros(size - rank)]), seed)
