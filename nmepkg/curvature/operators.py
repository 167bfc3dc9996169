"""Symmetric linear maps of pytrees as operators: on pytrees and flat vectors, with sums and multiples, for SciPy and lineax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature import selection
from nmepkg.curvature.types import Params


@dataclass(frozen=True, eq=False, repr=False)
class Operator:
    """A symmetric linear map of pytrees of P entries, which are those of one flat vector in the order of ``ravel_pytree``.

    Attributes:
      like: a pytree of the structure, shapes and types of its vectors; ``None`` in place of parameters that it leaves out.
      products: several vectors, pytrees -> A v of each, in one pass over the data.
      traceable: whether a compiled function may call it, which reads all data as it is traced.

    Example:
      Sums and multiples are operators too; a vector is a pytree or flat, and what comes is like it:

      >>> import jax, jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> like = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
      >>> A = curvature.Operator(like, lambda vectors: [jax.tree.map(lambda x: 3 * x, v) for v in vectors])
      >>> (A - 0.5 * A) @ jnp.array([1.0, 2.0])
      Array([1.5, 3. ], dtype=float32)
      >>> A({"a": jnp.ones(1), "b": jnp.zeros(1)})["a"].tolist()
      [3.0]
    """

    like: Params
    products: Callable[[Sequence[Params]], list[Params]]
    traceable: bool = True

    __array_ufunc__ = None  # so that NumPy's scalars leave c * A to it

    def __repr__(self) -> str:
        """Without its parameters, which may be many."""
        return f"Operator(shape={self.shape}, dtype={jnp.dtype(self.dtype).name})"

    @property
    def size(self) -> int:
        """P."""
        return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(self.like))

    @property
    def shape(self) -> tuple[int, int]:
        """(P, P)."""
        return self.size, self.size

    @property
    def dtype(self) -> Any:
        """That of flat vectors."""
        return jnp.result_type(*jax.tree.leaves(self.like))

    def unravel(self, flat: Any) -> Params:
        """(P,) numbers as a pytree.

        Raises:
          ValueError: there are not P.
        """
        flat = jnp.asarray(flat)
        if flat.shape != (self.size,):
            raise ValueError(f"a flat vector of this operator has the shape {(self.size,)}, not {flat.shape}")
        return _unraveled(flat.astype(self.dtype), self.like)

    def ravel(self, v: Params) -> Array:
        """A pytree as (P,) numbers.

        Raises:
          ValueError: it is not of the operator's structure and shapes.
        """
        self._check(v)
        raveled: Array = _raveled(v)
        return raveled

    def matvec(self, v: Any) -> Any:
        """A v for a pytree, or for a flat vector.

        Raises:
          ValueError: v is neither.
        """
        if getattr(v, "shape", None) == (self.size,):
            return self.ravel(self.products([self.unravel(v)])[0])
        self._check(v)
        typed = jax.tree.map(lambda x, leaf: jnp.asarray(x, leaf.dtype), v, self.like)
        return self.products([typed])[0]

    def matmat(self, matrix: Any) -> Array:
        """A V for (P, k) numbers V, in one pass over the data.

        Raises:
          ValueError: V has not P rows.
        """
        matrix = jnp.asarray(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != self.size:
            raise ValueError(
                f"a matrix of flat vectors of this operator has {self.size} rows, and is of {matrix.shape}"
            )
        found = self.products([self.unravel(column) for column in matrix.T])
        return jnp.stack([self.ravel(product) for product in found], axis=1) if found else matrix.astype(self.dtype)

    def __call__(self, v: Any) -> Any:
        return self.matvec(v)

    def __matmul__(self, v: Any) -> Any:
        """A v for a pytree or a flat vector, and A V for a matrix of flat vectors."""
        is_matrix = getattr(v, "ndim", 0) == 2 and not self._fits(v)
        return self.matmat(v) if is_matrix else self.matvec(v)

    def __add__(self, other: Operator) -> Operator:
        """A + B; each passes over its own data."""
        return self._combined(other, jnp.add)

    def __sub__(self, other: Operator) -> Operator:
        """A − B."""
        return self._combined(other, jnp.subtract)

    def __mul__(self, factor: Any) -> Operator:
        """c A for a real number c."""
        if not isinstance(factor, Real) and not (isinstance(factor, np.ndarray | jax.Array) and factor.ndim == 0):
            return NotImplemented

        def products(vectors: Sequence[Params]) -> list[Params]:
            found = self.products(vectors)
            return [jax.tree.map(lambda x: jnp.asarray(factor, x.dtype) * x, product) for product in found]

        return Operator(self.like, products, self.traceable)

    __rmul__ = __mul__

    def __neg__(self) -> Operator:
        """−A."""
        return -1 * self

    def block(self, only: selection.Only) -> Operator:
        """The diagonal block of some of the parameters, by name; its vectors have ``None`` in place of the others.

        A product is one with the whole, so that nothing is compiled for a block. The operator that
        :func:`~nmepkg.curvature.operator` makes with ``only`` is the same matrix: compiled anew, its product takes less.

        Args:
          only: names, or beginnings of paths; a function of a name; one of the values of :func:`~nmepkg.curvature.layers`.

        Raises:
          ValueError: it names no parameter.

        Example:
          The trace of each layer of diag(1, 2, 4):

          >>> import jax, jax.numpy as jnp
          >>> from nmepkg import curvature
          >>> like = {"one": {"w": jnp.array([1.0, 2.0])}, "two": {"w": jnp.array([4.0])}}
          >>> A = curvature.Operator(like, lambda vectors: [jax.tree.map(jnp.multiply, like, v) for v in vectors])
          >>> {name: curvature.trace(A.block(only)).value for name, only in curvature.layers(like).items()}
          {'one': 3.0, 'two': 4.0}
        """
        chosen, rest = selection.split(self.like, only)
        zeros = jax.tree.map(jnp.zeros_like, rest)

        def products(vectors: Sequence[Params]) -> list[Params]:
            found = self.products([selection.merge(v, zeros) for v in vectors])
            return [selection.split(product, only)[0] for product in found]

        return Operator(chosen, products, self.traceable)

    def to_scipy(self) -> Any:
        """As a ``scipy.sparse.linalg.LinearOperator`` on NumPy's flat vectors, of float64 or float32 as the parameters are."""
        from scipy.sparse.linalg import LinearOperator

        def matvec(v: Any) -> np.ndarray:
            return np.asarray(self.matvec(np.ravel(v)), dtype)

        def matmat(matrix: Any) -> np.ndarray:
            return np.asarray(self.matmat(matrix), dtype)

        dtype = np.dtype(np.float64 if self.dtype == jnp.float64 else np.float32)
        return LinearOperator(self.shape, matvec=matvec, rmatvec=matvec, matmat=matmat, rmatmat=matmat, dtype=dtype)

    def as_lineax(self, *tags: object) -> Any:
        """As a ``lineax.FunctionLinearOperator`` on pytrees, tagged as symmetric, and with further tags of yours.

        Raises:
          ModuleNotFoundError: lineax is not installed.
          ValueError: the data come from a loader, as lineax compiles the operator, and would hold all of them; or it is
            watched or resumable.
        """
        try:
            import lineax
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("lineax is not installed; run: python -m pip install 'nmepkg[lineax]'") from error
        if not self.traceable:
            raise ValueError(
                "lineax compiles an operator with its data: give a list of batches in place of a loader, and neither watch it "
                "nor keep its products"
            )
        structure = jax.eval_shape(lambda: self.like)
        return lineax.FunctionLinearOperator(self.matvec, structure, (lineax.symmetric_tag, *tags))

    def _combined(self, other: Operator, combine: Callable[[Array, Array], Array]) -> Operator:
        if not isinstance(other, Operator):
            return NotImplemented
        if not self._fits(other.like):
            raise ValueError("operators that are added act on the same parameters, and these do not")

        def products(vectors: Sequence[Params]) -> list[Params]:
            pairs = zip(self.products(vectors), other.products(vectors), strict=True)
            return [jax.tree.map(combine, x, y) for x, y in pairs]

        return Operator(self.like, products, self.traceable and other.traceable)

    def _fits(self, v: Params) -> bool:
        def shapes(tree: Params) -> Any:
            leaves, structure = jax.tree.flatten(tree)
            return structure, [np.shape(leaf) for leaf in leaves]

        return bool(shapes(v) == shapes(self.like))

    def _check(self, v: Params) -> None:
        if not self._fits(v):
            raise ValueError(
                f"a vector of this operator is flat, of {self.size} numbers, or like its parameters; this is neither"
            )


# Compiled, as each is many small operations, which take longer to start one by one than a product with a small network does.
@jax.jit
def _unraveled(flat: Array, like: Params) -> Params:
    unraveled: Params = ravel_pytree(like)[1](flat)
    return unraveled


@jax.jit
def _raveled(v: Params) -> Array:
    return ravel_pytree(v)[0]
