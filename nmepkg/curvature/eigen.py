"""Eigenvalues with eigenvectors of an operator, at both ends, by Lanczos' method with thick restarts.

After m steps from a unit vector q, in the complement of what is kept, A [Y; V] = B [Y; V] + β q' e_m: of the kept Ritz
vectors Y only the first Lanczos vector is coupled with, as all their residuals A y_i − θ_i y_i are multiples of the
one q. So B is diag θ bordered by those multiples, beside the tridiagonal T of the run, and the best Ritz vectors of B
are kept for the next. Source: Wu & Simon (2000), thick-restart Lanczos.

A Krylov space sees every eigenvalue once. So when all that is wanted has converged, a run from a new random vector, in the
complement of it, looks for what was missed: copies of an eigenvalue, or one that the first vector had nothing of.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from nmepkg.curvature import probes
from nmepkg.curvature.krylov import Lanczos, Ritz, lanczos, ritz, rounding_error
from nmepkg.curvature.operators import Operator
from nmepkg.curvature.types import Key, Params
from nmepkg.curvature.vectors import norm, normalize, single


class Eigenpairs(NamedTuple):
    """Some eigenvalues, from the largest on the real line downwards.

    Attributes:
      values: (k,) λ, first those of the top, then those of the bottom.
      vectors: a pytree of length 1 each, like the operator's.
      bounds: (k,) ‖A v − λ v‖, computed anew of what is returned: an eigenvalue lies within, but for rounding.
      converged: (k,) whether that is within the tolerance.
      products: with A that it took.
    """

    values: np.ndarray
    vectors: list[Params]
    bounds: np.ndarray
    converged: np.ndarray
    products: int


class _Kept(NamedTuple):
    """Ritz vectors between two runs: rows, values, bounds, and what each residual is of the next start vector."""

    basis: Float[Array, "kept size"]
    values: np.ndarray
    bounds: np.ndarray
    coupling: np.ndarray

    def those(self, which: np.ndarray) -> _Kept:
        return _Kept(self.basis[jnp.asarray(which)], self.values[which], self.bounds[which], self.coupling[which])


def eigenpairs(
    operator: Operator,
    top: int = 1,
    bottom: int = 0,
    *,
    key: Key | None = None,
    tolerance: float = 1e-5,
    steps: int | None = None,
    restarts: int = 100,
) -> Eigenpairs:
    """The ``top`` largest and the ``bottom`` smallest eigenvalues of a symmetric operator, with eigenvectors.

    Memory is some ``steps`` + 2 (``top`` + ``bottom``) vectors. Of an eigenvalue of several copies, so many are found
    as are wanted.

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say; of a layer by its ``only``.
      top, bottom: how many, P in all at most.
      key: PRNG key of the first vectors.
      tolerance: of ‖A v − λ v‖, as a share of ‖A‖; 100 machine epsilons of the parameters' type at least, of a half
        precision, in which vectors are rounded and no more, 10.
      steps: of Lanczos' method before each restart; 20, or twice what is wanted, unless given.
      restarts: at most; what has not converged then says so.

    Raises:
      ValueError: nothing is wanted, or more than there is.
      FloatingPointError: a product is not finite.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> diagonal = jnp.array([-1.0, 2.0, 5.0, 5.0])
      >>> A = curvature.Operator(diagonal, lambda vectors: [diagonal * v for v in vectors])
      >>> found = curvature.eigenpairs(A, top=2, bottom=1)
      >>> found.values.round(3).tolist(), abs(found.vectors[2]).round(3).tolist()
      ([5.0, 5.0, -1.0], [1.0, 0.0, 0.0, 0.0])
    """
    size, wanted = operator.size, top + bottom
    if min(top, bottom) < 0 or not 1 <= wanted <= size:
        raise ValueError(f"top and bottom: from 1 to {size} eigenvalues in all, not {top} and {bottom}")
    steps = max(20, 2 * wanted) if steps is None else steps
    key = jax.random.key(0) if key is None else key
    guard = 2 + wanted // 2  # kept beside what is wanted, as the next ones converge slowly without
    ends = top + guard * (top > 0), bottom + guard * (bottom > 0)
    width = min(sum(ends), size)
    share = max(tolerance, _least_tolerance(operator)) / 2  # the other half is for rounding at the end

    def random(number: int) -> Params:
        return probes.draw(jax.random.fold_in(key, number), operator.like, "gaussian")

    def run(start: Params, kept: _Kept, scale: float) -> tuple[Lanczos, Ritz]:
        free = size - len(kept.basis)
        found = jnp.pad(kept.basis, ((0, width - len(kept.basis)), (0, 0)))  # so that one shape is compiled
        done = lanczos(operator.matvec, start, min(steps, free), found)
        return done, ritz(done, scale, free)

    def settled(kept: _Kept, scale: float) -> bool:
        chosen = _ends(kept.values, top, bottom)
        return len(chosen) == wanted and bool((kept.bounds[chosen] <= share * scale).all())

    kept = _Kept(jnp.zeros((0, size), _flat(operator.like).dtype), *np.zeros((3, 0)))
    start, scale, products = random(0), 0.0, 0
    for number in range(1, restarts + 2):
        complete = settled(kept, scale)
        done, found = run(start, kept, scale)
        products += len(done.diagonal)
        if not np.isfinite(found.values).all():
            raise FloatingPointError(
                "a product with the operator is not finite: its parameters or data are not, or overflow"
            )
        if complete and not _belongs(found.values, kept.values, top, bottom, share * scale):
            break
        merged = _merged(kept, done, found, ends)
        del done  # and its Lanczos vectors with it
        scale = max(scale, float(np.abs(merged.values).max()))
        kept = merged
        if found.exhausted or settled(kept, scale):
            # What is coupled with the old start vector is not carried to a new one.
            kept = kept.those(kept.bounds <= share * scale)
            kept = kept._replace(coupling=np.zeros(len(kept.values)))
            start = random(number)
            if len(kept.values) == size:
                break
        else:
            start, sign = _residual(operator, kept)
            kept = kept._replace(coupling=sign * kept.coupling)
            products += 1
    kept = kept.those(_ends(kept.values, top, bottom))
    return _checked(operator, kept, 2 * share * scale, products)


def _least_tolerance(operator: Operator) -> float:
    computed = _flat(operator.like).dtype
    return max(rounding_error(1.0, computed), 10 * float(jnp.finfo(operator.dtype).eps))


def _ends(values: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """The places of the largest and of the smallest, from the largest downwards; all where there are no more than those."""
    order = np.argsort(values)[::-1]
    return order if len(order) <= top + bottom else np.concatenate([order[:top], order[len(order) - bottom :]])


def _belongs(found: np.ndarray, kept: np.ndarray, top: int, bottom: int, tolerance: float) -> bool:
    """Whether one of some values lies beyond the innermost of those that are wanted."""
    order = np.sort(kept)
    above = top > 0 and bool(found.max() > order[-top] + tolerance)
    below = bottom > 0 and bool(found.min() < order[bottom - 1] - tolerance)
    return above or below


def _merged(kept: _Kept, done: Lanczos, found: Ritz, ends: tuple[int, int]) -> _Kept:
    """The Ritz vectors at the ends, of what was kept and of a run together."""
    old, new = len(kept.values), len(found.values)
    projected = np.zeros((old + new, old + new))
    projected[:old, :old] = np.diag(kept.values)
    projected[old:, old:] = (found.vectors.T * found.values) @ found.vectors
    projected[:old, old] = projected[old, :old] = kept.coupling
    values, vectors = np.linalg.eigh(projected)
    chosen = _ends(values, *ends)
    coupling = (0.0 if found.exhausted else float(done.off_diagonal[new - 1])) * vectors[-1, chosen]
    rows = jnp.asarray(vectors[:, chosen].T, kept.basis.dtype)
    basis = _product(rows[:, :old], kept.basis) + _product(rows[:, old:], done.basis[:new])
    return _Kept(basis, values[chosen], np.abs(coupling), coupling)


def _product(x: Array, y: Array) -> Array:
    return jnp.matmul(x, y, precision="highest")


def _residual(operator: Operator, kept: _Kept) -> tuple[Params, float]:
    """The direction of the residuals, of that which is largest, and the sign that it is taken with."""
    worst = int(np.argmax(kept.bounds))
    v = operator.unravel(kept.basis[worst])
    product, flat = _flat(operator.matvec(v)), kept.basis[worst]
    direction, _ = normalize(product.astype(flat.dtype) - (flat @ product.astype(flat.dtype)) * flat)
    return operator.unravel(direction), float(np.sign(kept.coupling[worst]))


def _flat(tree: Params) -> Array:
    """A pytree as one vector, of float32 at least."""
    return single(ravel_pytree(tree)[0])


def _checked(operator: Operator, kept: _Kept, tolerance: float, products: int) -> Eigenpairs:
    """The pairs with λ = ⟨v, A v⟩, and the norms of the residuals, of one more product each."""
    vectors = [operator.unravel(row) for row in kept.basis]
    values, bounds = [], []
    for v, product in zip(vectors, operator.products(vectors), strict=True):
        x, y = _flat(v), _flat(product)
        value = x @ y / (x @ x)
        values.append(float(value))
        bounds.append(float(norm(y - value * x) / norm(x)))
    found = np.asarray(bounds)
    return Eigenpairs(np.asarray(values), vectors, found, found <= tolerance, products + len(vectors))
