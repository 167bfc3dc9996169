"""Long runs with an operator: told how far they are, and gone on with after whatever stopped them.

Everything that is computed of an operator is a sequence of products with it, which is the same when the computation is
started once more. So what is kept is products: the second run reads those that the first one made, and goes on to the
same numbers. It holds for every function of this package, for SciPy's, and for one of your own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from nmepkg import files
from nmepkg.curvature.operators import Operator
from nmepkg.curvature.types import Params
from nmepkg.curvature.vectors import single
from nmepkg.errors import UserError

_MARKS = 4  # numbers that tell an operator from others


def watched(operator: Operator, progress: Callable[[int], Any]) -> Operator:
    """The operator, which calls ``progress`` after each pass over the data with the number of products that it took.

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say.
      progress: the ``update`` of tqdm's bars, say: ``curvature.xtrace(curvature.watched(A, bar.update), products=100)`` with
        ``bar = tqdm(total=100)``.

    Example:
      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> A = curvature.Operator(jnp.zeros(100), lambda vectors: [2 * v for v in vectors])
      >>> found = curvature.xtrace(curvature.watched(A, lambda count: print(count, "products")), products=10)
      5 products
      5 products
    """

    def products(vectors: Sequence[Params]) -> list[Params]:
        found = operator.products(vectors)
        np.asarray(single(ravel_pytree(found[-1:])[0]))  # waits: results come before they are computed
        progress(len(vectors))
        return found

    return Operator(operator.like, products, traceable=False)


def resumable(operator: Operator, folder: str | PathLike[str]) -> Operator:
    """The operator, which keeps its products in a folder, and takes from there those that it has.

    Each pass over the data is a file there, written whole or not at all. Whoever is killed repeats the pass that was
    under way, and goes on to the same numbers; more samples, or a better precision, go on from there too. Products are
    found by the bits of their vectors: where what is computed between products is not deterministic, or on other
    hardware, they are computed anew. It costs one product at the start, which tells the operator from others, and disk
    for P numbers a product. Delete the folder when you are done.

    Args:
      operator: of :func:`~nmepkg.curvature.operator`, say; the same one, but for rounding, whenever it goes on.
      folder: is made if need be; several computations, and processes, may share it.

    Raises:
      FloatingPointError: a product is not finite.
      UserError: when a product is asked for whose file is damaged, or that of another operator: of other parameters, data or
        functions.

    Example:
      The second time no product is computed but the one that tells the operator:

      >>> import tempfile
      >>> import jax.numpy as jnp
      >>> from nmepkg import curvature
      >>> def products(vectors):
      ...     print(len(vectors), "computed")
      ...     return [2 * v for v in vectors]
      >>> A, folder = curvature.Operator(jnp.zeros(3), products), tempfile.mkdtemp()
      >>> curvature.trace(curvature.resumable(A, folder)).value
      1 computed
      10 computed
      10 computed
      6.0
      >>> curvature.trace(curvature.resumable(A, folder)).value
      1 computed
      6.0
    """
    marks = _marks(operator)

    def products(vectors: Sequence[Params]) -> list[Params]:
        if not vectors:
            return []
        asked = _flat(vectors)
        path = Path(folder) / f"{files.arrays_sha256({'vectors': asked})[:32]}.npz"
        if files.present(path):
            rows = _read(path, asked.shape, marks, tolerance)
        else:
            rows = _flat(operator.products(vectors))
            with files.written_whole(path) as file:
                np.savez(file, products=rows, marks=marks)
        return [operator.unravel(row) for row in rows]

    tolerance = min(100 * float(jnp.finfo(operator.dtype).eps), 0.01)
    return Operator(operator.like, products, traceable=False)


def _flat(vectors: Sequence[Params]) -> np.ndarray:
    """(k, P) vectors, of float32 at least, which holds those of half precision as they are."""
    return np.stack([np.asarray(single(ravel_pytree(v)[0])) for v in vectors])


def _marks(operator: Operator) -> np.ndarray:
    """What tells an operator from others: log ‖A v‖, and ⟨u, A v⟩/‖A v‖ of some u, all random."""
    random = np.random.default_rng(0)  # whose numbers do not depend on JAX's settings
    (product,) = operator.products([operator.unravel(random.standard_normal(operator.size))])
    flat = _flat([product])[0].astype(np.float64)
    if not np.isfinite(flat).all():
        raise FloatingPointError(
            "a product with the operator is not finite: its parameters or data are not, or overflow"
        )
    unit = flat / max(np.abs(flat).max(initial=0.0), np.finfo(np.float64).tiny)
    length = np.linalg.norm(unit)
    size = np.log(length) + np.log(np.abs(flat).max()) if length > 0 else 0.0
    along = [random.standard_normal(operator.size) @ unit / max(length, 1.0) for _ in range(_MARKS)]
    return np.asarray([size, *along])


def _read(path: Path, shape: tuple[int, ...], marks: np.ndarray, tolerance: float) -> np.ndarray:
    try:
        found = files.read_arrays(path)
        rows: np.ndarray = found["products"]
        kept: np.ndarray = found["marks"]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it, and its products are computed again") from None
    if rows.shape != shape or not np.abs(kept - marks).max() <= tolerance:
        raise UserError(
            f"{path}: products of another operator, of other parameters, data or functions: give each a folder of its own"
        )
    return rows
