"""The types of the library: pytrees as vectors, and a network's loss in its two halves.

Shapes in annotations are those of jaxtyping: ``Float[Array, "batch classes"]``. The tests check them as they run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray, PyTree

Params: TypeAlias = PyTree[ArrayLike]  # real numbers
Logits: TypeAlias = PyTree[Array]  # an array, or several
Scalar = Float[Array, ""]
Key = PRNGKeyArray
LogitsFn = Callable[[Params], Logits]
LossFn = Callable[[Logits], Scalar]
LinearMap = Callable[[Params], Params]
