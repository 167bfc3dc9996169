"""Extreme eigenvalues and spectral density of a symmetric linear map of pytrees, by Lanczos' method.

k steps from a start vector q give orthonormal Lanczos vectors Q, (k, P), and a tridiagonal T = Q A Qᵀ with diagonal α and
off-diagonal β. Its eigenvalues θ_i (Ritz values) approach those of A, the extreme ones first, each within |β_k s_ki| of
one, with s_i the eigenvectors of T and β_k the norm of the residual; and Σ_i s_1i² f(θ_i) is qᵀ f(A) q, exactly for
polynomials f of degree < 2k (stochastic Lanczos quadrature). Sources: Golub & Meurant (2010); Ubaru, Chen & Saad (2017).

If q lies in an invariant space of j < k dimensions (any q for A = 0), then β_j = 0, the first j rows and columns of T are
all there is, and what follows is 0/0. A Krylov space sees every eigenvalue once, whatever its multiplicity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from matfree import decomp

Params = Any  # a pytree of arrays
LinearMap = Callable[[Params], Params]


class Lanczos(NamedTuple):
    """k steps as they came; not numbers after the space is exhausted (see :func:`ritz`).

    Attributes:
      basis: (k, P) Lanczos vectors.
      diagonal: (k,) α.
      off_diagonal: (k,) β; the last is the norm of the residual.
    """

    basis: Array
    diagonal: Array
    off_diagonal: Array


class Ritz(NamedTuple):
    """The eigendecomposition of T, on the host in float64.

    Attributes:
      values: (j,) θ, ascending.
      weights: (j,) s_1i², of sum 1.
      bounds: (j,) |β_j s_ji|: an eigenvalue of A lies within, but for the rounding error of the products with A.
      exhausted: whether β_j is 0 but for rounding, so that every θ is an eigenvalue.
    """

    values: np.ndarray
    weights: np.ndarray
    bounds: np.ndarray
    exhausted: bool


def lanczos(matvec: LinearMap, start: Params, steps: int, found: Array | None = None) -> Lanczos:
    """Lanczos' method with full reorthogonalisation (by matfree). Call it inside ``jax.jit``.

    Args:
      matvec: v ↦ A v, symmetric.
      start: the start vector, not zero; a pytree.
      steps: k, at most the dimension P; static.
      found: (j, P) orthonormal rows (or zeros) that span an invariant space; A is then taken on its complement.
    """
    flat, unravel = ravel_pytree(start)

    def complement(v: Array) -> Array:
        if found is not None:
            for _ in range(2):  # twice is enough for orthogonality to rounding
                v = v - found.T @ (found @ v)
        return v

    def flat_matvec(v: Array) -> Array:
        return complement(ravel_pytree(matvec(unravel(v)))[0])

    # Of the Hessenberg form, as matfree's tridiagonal one averages β with what follows it, NaN if β is 0.
    run = decomp.hessenberg(steps, reortho="full", custom_vjp=False)(flat_matvec, complement(flat))
    residual = jnp.linalg.norm(run.residual)
    return Lanczos(run.Q_tall, jnp.diagonal(run.J_small), jnp.append(jnp.diagonal(run.J_small, -1), residual))


def ritz(run: Lanczos, scale: float = 0.0, dimension: int | None = None) -> Ritz:
    """Ritz values, quadrature weights and residual bounds of a run, up to where its Krylov space is exhausted.

    Args:
      run: of :func:`lanczos`.
      scale: a lower bound on ‖A‖. β below 10 machine epsilons of ‖A‖ counts as 0: beyond, the next Lanczos vector would
        be rounding error, along earlier ones perhaps.
      dimension: of the space that A acts on, P unless given.

    Returns:
      NaN throughout where A is not finite.
    """
    dtype = run.diagonal.dtype
    diagonal, off_diagonal = (np.asarray(x, np.float64) for x in (run.diagonal, run.off_diagonal))
    dimension = run.basis.shape[1] if dimension is None else dimension
    size, exhausted = 0, False
    while not exhausted and size < len(diagonal):
        if not (np.isfinite(diagonal[size]) and np.isfinite(off_diagonal[size])):
            undefined = np.full(1, np.nan)
            return Ritz(undefined, undefined, undefined, False)
        scale = max(scale, abs(diagonal[size]), off_diagonal[size - 1] if size else 0.0)
        exhausted = off_diagonal[size] <= 10 * np.finfo(dtype).eps * scale or size + 1 == dimension
        size += 1
    tridiagonal = np.diag(diagonal[:size])
    for offset in (-1, 1):
        tridiagonal += np.diag(off_diagonal[: size - 1], offset)
    values, vectors = np.linalg.eigh(tridiagonal)
    residual = 0.0 if exhausted else off_diagonal[size - 1]
    return Ritz(values, vectors[0] ** 2, np.abs(residual * vectors[-1]), exhausted)


def eigenvalues(restart: Callable[[int, Array], Lanczos], first: Lanczos, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Ritz values with their residual bounds; where the Krylov space is exhausted, with multiplicities.

    A further run on the orthogonal complement finds each eigenvalue once more if there are more of it, so ``copies`` runs
    find min(multiplicity, ``copies``) of each. One run will do where the space is not exhausted, as in a large network.

    Args:
      restart: (number of the restart, from 1; ``found``) -> a run of :func:`lanczos` from a random start.
      first: the first run.
      copies: how many of each eigenvalue are wanted at most.

    Returns:
      (values, bounds), by value.
    """
    steps, dimension = first.basis.shape
    found = ritz(first)
    values, bounds, basis = found.values, found.bounds, first.basis
    for number in range(1, copies):
        if not found.exhausted or len(values) == dimension:
            break
        basis = basis[: len(values)]
        run = restart(number, jnp.pad(basis, ((0, -len(basis) % steps), (0, 0))))  # so that few shapes are compiled
        found = ritz(run, scale=float(np.abs(values).max()), dimension=dimension - len(values))
        basis = jnp.concatenate([basis, run.basis])
        values, bounds = np.append(values, found.values), np.append(bounds, found.bounds)
    order = np.argsort(values)
    return values[order], bounds[order]
