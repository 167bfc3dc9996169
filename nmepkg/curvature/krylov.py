"""Extreme eigenvalues and spectral density of a symmetric linear map of pytrees, by Lanczos' method.

k steps from a start vector q give orthonormal Lanczos vectors Q, (k, P), and a tridiagonal T = Q A Qᵀ with diagonal α and
off-diagonal β. Its eigenvalues θ_i (Ritz values) approach those of A, the extreme ones first, each within |β_k s_ki| of
one, with s_i the eigenvectors of T and β_k the norm of the residual; and Σ_i s_1i² f(θ_i) is qᵀ f(A) q, exactly for
polynomials f of degree < 2k (stochastic Lanczos quadrature). Sources: Golub & Meurant (2010); Ubaru, Chen & Saad (2017).

If q lies in an invariant space of j < k dimensions (any q for A = 0), then β_j = 0, the first j rows and columns of T are
all there is, and what follows is 0/0. A Krylov space sees every eigenvalue once, whatever its multiplicity: copies are found by
further runs on the complement of what has converged (:func:`eigenvalues`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from nmepkg.curvature.types import LinearMap, Params, Scalar
from nmepkg.curvature.vectors import divisor, normalize, single


class Lanczos(NamedTuple):
    """k steps as they came; not numbers after the space is exhausted (see :func:`ritz`).

    Attributes:
      basis: the Lanczos vectors, a row each.
      diagonal: α.
      off_diagonal: β; the last is the norm of the residual.
    """

    basis: Float[Array, "steps size"]
    diagonal: Float[Array, " steps"]
    off_diagonal: Float[Array, " steps"]


class Ritz(NamedTuple):
    """The eigendecomposition of T, on the host in float64.

    Attributes:
      values: (j,) θ, ascending.
      weights: (j,) s_1i², of sum 1.
      vectors: (j, j), a row s_i for each θ_i, so that s_i Q is its Ritz vector.
      bounds: (j,) ``|β_j s_ji|``: an eigenvalue of A lies within, but for the rounding error of the products with A.
      exhausted: whether β_j is 0 but for rounding, so that every θ is an eigenvalue.
    """

    values: np.ndarray
    weights: np.ndarray
    vectors: np.ndarray
    bounds: np.ndarray
    exhausted: bool


def lanczos(matvec: LinearMap, start: Params, steps: int, found: Float[Array, "found size"] | None = None) -> Lanczos:
    """Lanczos' method with full reorthogonalisation, in float32 at least.

    Steps are driven from Python: ``matvec`` may call compiled programs, batch by batch say, and nothing waits for a result.
    Memory is the basis, k · P numbers, and a few vectors. Call it outside ``jax.jit``: inside, all k steps are written out,
    and compiled for as long.

    A is divided by the largest entry of its first product, so that squares of small or large numbers are in range.

    Args:
      matvec: v ↦ A v, symmetric; any function, best a compiled one.
      start: the start vector, not zero; a pytree.
      steps: k, at most the dimension P.
      found: (j, P) orthonormal rows (or zeros) that span an invariant space; A is then taken on its complement.

    Raises:
      ValueError: k is not from 1 to P.

    Example:
      α begins with the mean, and β with the standard deviation, of the eigenvalues, of equal weights here:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> diagonal = jnp.array([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
      >>> run = curvature.lanczos(lambda v: diagonal * v, jnp.ones(8), steps=3)
      >>> round(float(run.diagonal[0]), 3), round(float(run.off_diagonal[0]), 3)
      (5.0, 2.0)
    """
    size = sum(jnp.size(leaf) for leaf in jax.tree.leaves(start))
    if not 1 <= steps <= size:
        raise ValueError(f"Lanczos' method takes from 1 to {size} steps here, not {steps}")
    state, v = _begin(start, found, steps)
    for i in range(steps):
        state, v = _step(state, v, matvec(v), found, i)
    return Lanczos(state.basis, state.scale * state.diagonal, state.scale * state.off_diagonal)


class _State(NamedTuple):
    """What steps read and write: those of Lanczos but for the scale, the next Lanczos vector (P,), and the scale of A."""

    basis: Float[Array, "steps size"]
    diagonal: Float[Array, " steps"]
    off_diagonal: Float[Array, " steps"]
    following: Float[Array, " size"]
    scale: Scalar


@partial(jax.jit, static_argnames="steps")
def _begin(start: Params, found: Array | None, steps: int) -> tuple[_State, Params]:
    """The state before the first step, and the first vector as a pytree."""
    flat, unravel = ravel_pytree(start)
    precise = single(flat)
    following, length = normalize(_orthogonal(precise, found))
    following = jnp.where(length > 0, following, jnp.nan)
    zeros = jnp.zeros(steps, precise.dtype)
    basis = jnp.zeros((steps, flat.size), precise.dtype)
    return _State(basis, zeros, zeros, following, jnp.ones((), precise.dtype)), unravel(following.astype(flat.dtype))


# The state is donated, so that the basis is written in place.
@partial(jax.jit, donate_argnames="state")
def _step(state: _State, v: Params, product: Params, found: Array | None, i: Any) -> tuple[_State, Params]:
    """The state after step i, and the next vector, given v and A v; of v only structure, shapes and types matter."""
    flat, unravel = ravel_pytree(v)
    w, q = ravel_pytree(product)[0].astype(state.basis.dtype), state.following
    basis = jax.lax.dynamic_update_index_in_dim(state.basis, q, i, 0)
    scale = jnp.where(i > 0, state.scale, divisor(jnp.max(jnp.abs(w))))
    w = w / scale
    following, length = normalize(_orthogonal(w, found, basis))
    diagonal, off_diagonal = state.diagonal.at[i].set(q @ w), state.off_diagonal.at[i].set(length)
    return _State(basis, diagonal, off_diagonal, following, scale), unravel(following.astype(flat.dtype))


def _orthogonal(w: Float[Array, " size"], *spaces: Float[Array, "_ size"] | None) -> Float[Array, " size"]:
    """What of w is orthogonal to the rows of each of some matrices."""
    for _ in range(2):  # twice is enough for orthogonality to rounding
        for rows in spaces:
            if rows is not None:
                w = w - rows.T @ (rows @ w)
    return w


def ritz(run: Lanczos, scale: float = 0.0, dimension: int | None = None) -> Ritz:
    """Ritz values, quadrature weights and residual bounds of a run, up to where its Krylov space is exhausted.

    Args:
      run: of :func:`lanczos`.
      scale: a lower bound on ‖A‖. β below 10 machine epsilons of ‖A‖ counts as 0: beyond, the next Lanczos vector would
        be rounding error, along earlier ones perhaps.
      dimension: of the space that A acts on, P unless given.

    Returns:
      NaN throughout where A is not finite.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> diagonal = jnp.array([1.0, 2.0, 4.0])
      >>> found = curvature.ritz(curvature.lanczos(lambda v: diagonal * v, jnp.ones(3), steps=3))
      >>> print(found.values.round(3), found.weights.round(3), found.exhausted)
      [1. 2. 4.] [0.333 0.333 0.333] True
    """
    dtype = run.diagonal.dtype
    diagonal, off_diagonal = (np.asarray(x, np.float64) for x in (run.diagonal, run.off_diagonal))
    dimension = run.basis.shape[1] if dimension is None else dimension
    size, exhausted = 0, False
    while not exhausted and size < len(diagonal):
        if not (np.isfinite(diagonal[size]) and np.isfinite(off_diagonal[size])):
            undefined = np.full(1, np.nan)
            return Ritz(undefined, undefined, undefined[:, None], undefined, False)
        scale = max(scale, abs(diagonal[size]), off_diagonal[size - 1] if size else 0.0)
        exhausted = off_diagonal[size] <= 10 * np.finfo(dtype).eps * scale or size + 1 == dimension
        size += 1
    tridiagonal = np.diag(diagonal[:size])
    for offset in (-1, 1):
        tridiagonal += np.diag(off_diagonal[: size - 1], offset)
    values, vectors = np.linalg.eigh(tridiagonal)
    residual = 0.0 if exhausted else off_diagonal[size - 1]
    return Ritz(values, vectors[0] ** 2, vectors.T, np.abs(residual * vectors[-1]), exhausted)


def eigenvalues(restart: Callable[[int, Array], Lanczos], first: Lanczos, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Ritz values with their residual bounds; those that have converged with multiplicities.

    A further run on the orthogonal complement of the eigenvectors that are known finds each eigenvalue once more if there are
    more of it, so ``copies`` runs find min(multiplicity, ``copies``) of each. The first one that finds no copy is the last.
    Where the Krylov space is not exhausted, as in a large network, a value has converged if its bound is within rounding, 100
    machine epsilons of ‖A‖; copies of others may be missing, as their bounds say.

    Args:
      restart: (number of the restart, from 1; ``found``) -> a run of :func:`lanczos` from a random start.
      first: the first run.
      copies: how many of each eigenvalue are wanted at most.

    Returns:
      (values, bounds), by value.

    Example:
      One run of diag(1, 5, 5) sees 5 once:

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> def run(number, found=None):
      ...     start = jax.random.normal(jax.random.key(number), (3,))
      ...     return curvature.lanczos(lambda v: jnp.array([1.0, 5.0, 5.0]) * v, start, 3, found)
      >>> [curvature.eigenvalues(run, run(0), copies)[0].round(3).tolist() for copies in (1, 2)]
      [[1.0, 5.0], [1.0, 5.0, 5.0]]
    """
    steps, dimension = first.basis.shape
    run, found = first, ritz(first)
    values, bounds = found.values, found.bounds
    norm = float(np.abs(values).max())
    rounding = rounding_error(norm, first.diagonal.dtype)
    new = found.exhausted | (bounds <= rounding)
    known, basis = values[new], first.basis[:0]
    for number in range(1, copies):
        if not new.any():
            break
        basis = jnp.concatenate([basis, ritz_vectors(run, found, new)])
        del run  # and its Lanczos vectors with it
        if len(basis) == dimension:
            break
        run = restart(number, jnp.pad(basis, ((0, -len(basis) % steps), (0, 0))))  # so that few shapes are compiled
        complete = found.exhausted
        found = ritz(run, scale=norm, dimension=dimension - len(basis))
        new = found.bounds <= rounding
        if not complete:  # what the first run has not resolved is found again, and is no copy
            new &= np.abs(found.values[:, None] - known).min(axis=1) <= 2 * rounding
        new |= found.exhausted & complete
        known = np.append(known, found.values[new])
        values, bounds = np.append(values, found.values[new]), np.append(bounds, found.bounds[new])
    order = np.argsort(values)
    return values[order], bounds[order]


def ritz_vectors(run: Lanczos, found: Ritz, which: np.ndarray) -> Float[Array, "wanted size"]:
    """The Ritz vectors of some values, a row each: unit vectors, orthogonal to each other.

    Args:
      run, found: a run of :func:`lanczos`, and what :func:`ritz` says of it.
      which: of ``found.values``, as a mask or as places.

    Example:
      The largest eigenvalue's of diag(1, 2, 4):

      >>> import jax.numpy as jnp, numpy as np
      >>> from nmepkg.curvature import krylov
      >>> run = krylov.lanczos(lambda v: jnp.array([1.0, 2.0, 4.0]) * v, jnp.ones(3), steps=3)
      >>> abs(krylov.ritz_vectors(run, krylov.ritz(run), np.array([-1]))).round(3).tolist()
      [[0.0, 0.0, 1.0]]
    """
    chosen = jnp.asarray(found.vectors[which], run.basis.dtype)
    return jnp.matmul(chosen, run.basis[: len(found.values)], precision="highest")


def rounding_error(norm: float, dtype: Any) -> float:
    """The residual bound up to which a Ritz value of A counts as converged, 100 machine epsilons of ‖A‖."""
    return 100 * float(np.finfo(dtype).eps) * norm
