"""What random vectors say of a symmetric operator's range: the common part of Hutch++, XTrace and XDiag.

The large matrices, of P rows, are on the device; those of m rows are NumPy's, in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.linalg import solve_triangular

from nmepkg.curvature.operators import Operator
from nmepkg.curvature.vectors import single


class Sketch(NamedTuple):
    """Of random vectors Ω, (P, m), with A Ω = Q R.

    Attributes:
      random: Ω.
      basis: Q.
      image: A Q.
      triangle: R.
      along: QᵀΩ.
      projected: QᵀA Q.
      squares: ‖ω_i‖².
    """

    random: Float[Array, "size m"]
    basis: Float[Array, "size m"]
    image: Float[Array, "size m"]
    triangle: np.ndarray
    along: np.ndarray
    projected: np.ndarray
    squares: np.ndarray


def sketch(operator: Operator, random: Float[Array, "size m"]) -> Sketch:
    """The sketch of some vectors, by 2 m products, m in one pass over the data."""
    omega = single(random)
    basis, triangle = jnp.linalg.qr(single(operator.matmat(random)))
    image = single(operator.matmat(basis))
    along, projected, squares = basis.T @ omega, basis.T @ image, jnp.sum(omega**2, axis=0)
    return Sketch(omega, basis, image, *(np.asarray(x, np.float64) for x in (triangle, along, projected, squares)))


def leave_one_out(triangle: np.ndarray) -> np.ndarray:
    """(m, m) S, of unit columns s_i with Q_iQ_iᵀ = Q (I − s_i s_iᵀ) Qᵀ, Q_i a basis of the columns of Q R but the i-th.

    s_i is orthogonal to the columns of R but the i-th: the i-th column of R⁻ᵀ. Where those are dependent, and R is
    singular, any direction is as good that none of them has anything of.
    """
    diagonal = np.abs(np.diag(triangle))
    least = np.finfo(np.float64).eps * (diagonal.max() or 1.0)
    regular = triangle + np.diag(np.where(diagonal < least, least, 0.0))
    found = solve_triangular(regular, np.eye(len(triangle)), trans="T")
    return np.asarray(found / np.linalg.norm(found, axis=0))


def exact_diagonal(operator: Operator) -> Any:
    """(P,) the diagonal itself, by P products."""
    return jnp.diag(operator.matmat(jnp.eye(operator.size, dtype=operator.dtype)))
