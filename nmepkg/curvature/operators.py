"""H, G or N of a loss over all of some data, as one symmetric operator on the parameters.

The model is taken as ``logits_fn(params, batch)`` and the loss as ``loss_fn(logits, batch)``. With the batch filled
in, each is what :func:`~nmepkg.curvature.linearize` takes, ``lambda params: logits_fn(params, batch)`` and
``lambda logits: loss_fn(logits, batch)``, and nothing has to be said of which part of a batch is an input and which a
target, a mask or a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from nmepkg.curvature import batches, selection
from nmepkg.curvature.products import linearize
from nmepkg.curvature.types import LinearMap, Logits, Params, Scalar
from nmepkg.curvature.vectors import single

_PARTS = {"H": "hvp", "G": "gnvp", "N": "nmevp"}
_KEPT = 6  # sets of programs: H, G and N of two models


def operator(
    part: str,
    logits_fn: Callable[[Params, batches.Batch], Logits],
    loss_fn: Callable[[Logits, batches.Batch], Scalar],
    params: Params,
    data: Any,
    *,
    only: selection.Only = None,
    weight: batches.Weight | None = None,
) -> Operator:
    """H, G or N of Σ_b (n_b/n) L_b, the mean loss over batches of n_b examples, n in all.

    A product is compiled once for each shape of a batch, and for other parameters, with the same two functions, not
    again. One batch is linearised once, and its intermediate values are held as long as the operator is. Several are
    linearised for each product anew, one after another, so that memory is that of one of them.

    Args:
      part: ``H``, ``G`` or ``N``.
      logits_fn: (params, batch) -> logits.
      loss_fn: (logits, batch) -> a scalar, the mean over the batch's examples.
      params: θ, a pytree.
      data: a batch, which is a pytree of arrays; a list of batches; or a loader, which is anything else that can be
        iterated, and gives the same batches each time. A loader is read twice here, to see that it does.
      only: parts of θ by name, as ``["Dense_0", "Dense_1/kernel"]`` or a function of a name: the operator is then the
        diagonal block of these, and its vectors have ``None`` in place of the others.
      weight: batch -> n_b, where it is not the length of the first axis: the number of tokens that a mask leaves, say.

    Raises:
      TypeError: the loader can be read only once; a parameter is complex.
      ValueError: no such part; ``only`` names nothing; a batch has no number of examples; the loader is not the same twice.

    Example:
      z = θ₁ θ₂ x and L = ½ z², whose Hessian is x² ((θ₂², 2θ₁θ₂), (2θ₁θ₂, θ₁²)); of x² the mean over all examples counts:

      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> logits_fn, loss_fn = lambda p, x: p["a"] * p["b"] * x, lambda z, x: jnp.mean(z**2) / 2
      >>> theta = {"a": jnp.array(1.0), "b": jnp.array(2.0)}
      >>> A = curvature.operator("H", logits_fn, loss_fn, theta, [jnp.array([1.0, 1.0]), jnp.array([2.0])])
      >>> A.shape, (A @ jnp.array([1.0, 0.0])).tolist()
      ((2, 2), [8.0, 8.0])
      >>> of_b = curvature.operator("H", logits_fn, loss_fn, theta, jnp.array([1.0]), only="b")
      >>> of_b({"a": None, "b": jnp.array(3.0)})["b"].tolist()
      3.0
    """
    if part not in _PARTS:
        raise ValueError(f"part: an operator is that of {', '.join(_PARTS)}, not {part!r}")
    chosen, rest = selection.split(jax.tree.map(jnp.asarray, params), only)
    data = batches.read(data, weight)
    linear, add, at_once = _programs(part, logits_fn, loss_fn)
    kept = linear(chosen, rest, next(iter(data.source))) if data.held and len(data.shares) == 1 else None

    def products(vectors: Sequence[Params]) -> list[Params]:
        totals = [jax.tree.map(lambda leaf: jnp.zeros_like(single(leaf)), v) for v in vectors]
        if kept is not None:
            totals = [add(total, kept, v, 1.0) for total, v in zip(totals, vectors, strict=True)]
        else:
            for batch, share in data.batches():
                _wait(totals)
                if len(vectors) == 1:
                    totals = [at_once(totals[0], chosen, rest, batch, vectors[0], share)]
                else:
                    linear_map = linear(chosen, rest, batch)
                    totals = [add(total, linear_map, v, share) for total, v in zip(totals, vectors, strict=True)]
        return [jax.tree.map(lambda x, leaf: x.astype(leaf.dtype), total, chosen) for total in totals]

    return Operator(chosen, products, traceable=data.held)


def _wait(tree: Any) -> None:
    """Until what is computed is there: so one batch at a time is on the device, while the next one is read."""
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree)):
        jax.block_until_ready(tree)


@lru_cache(maxsize=_KEPT)
def _programs(part: str, logits_fn: Any, loss_fn: Any) -> tuple[Any, Any, Any]:
    """The compiled programs of a model: its linear map of a batch, a product that is added to a sum, and the two in one."""

    def linear(chosen: Params, rest: Params, batch: batches.Batch) -> LinearMap:
        def logits(params: Params) -> Logits:
            return logits_fn(selection.merge(params, rest), batch)

        found: LinearMap = getattr(linearize(logits, lambda z: loss_fn(z, batch), chosen), _PARTS[part])
        return found

    def add(total: Params, linear_map: LinearMap, v: Params, share: Any) -> Params:
        return jax.tree.map(lambda total, x: total + share * x.astype(total.dtype), total, linear_map(v))

    def at_once(total: Params, chosen: Params, rest: Params, batch: batches.Batch, v: Params, share: Any) -> Params:
        return add(total, linear(chosen, rest, batch), v, share)

    in_place = partial(jax.jit, donate_argnums=0)
    return jax.jit(linear), in_place(add), in_place(at_once)


@dataclass(frozen=True, eq=False)
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
        unraveled: Params = ravel_pytree(self.like)[1](flat.astype(self.dtype))
        return unraveled

    def ravel(self, v: Params) -> Array:
        """A pytree as (P,) numbers.

        Raises:
          ValueError: it is not of the operator's structure and shapes.
        """
        self._check(v)
        return ravel_pytree(v)[0]

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
        found = self.products([self.unravel(matrix[:, i]) for i in range(matrix.shape[1])])
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
          ValueError: the data come from a loader: lineax compiles the operator, and would hold all of them.
        """
        try:
            import lineax
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("lineax is not installed; run: python -m pip install 'nmepkg[lineax]'") from error
        if not self.traceable:
            raise ValueError("lineax compiles an operator with its data: give a list of batches in place of the loader")
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
