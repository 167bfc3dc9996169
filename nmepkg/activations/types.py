"""What activations take and give."""

from __future__ import annotations

from collections.abc import Callable

from jax import Array
from jaxtyping import Float

Values = Float[Array, "*shape"]  # what goes in and what comes out: one shape
Activation = Callable[[Array], Array]
