"""The settings of JAX that decide numbers: all that trains or measures computes with these, whatever else has been set.

They are part of what a run is, so this module is part of its code hash. What a user may decide is in
:mod:`nmepkg.surroundings`: it is recorded with each result instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

_SCOPED = (
    (jax.enable_x64, False),  # also decides which bits `jax.random.rademacher` draws
    (jax.default_prng_impl, "threefry2x32"),
    (jax.threefry_partitionable, True),
    (jax.numpy_dtype_promotion, "standard"),
    (jax.numpy_rank_promotion, "allow"),
    (jax.softmax_custom_jvp, False),
)
# JAX has no context for these.
_GLOBAL: dict[str, Any] = {"jax_random_seed_offset": 0, "jax_high_dynamic_range_gumbel": False}


@contextmanager
def settings() -> Iterator[None]:
    """Computes a block, or a function that it decorates, with JAX's settings as every result of this package has them.

    The values are those that JAX has by itself. Variables such as ``JAX_DEFAULT_PRNG_IMPL``, set for another project, or a
    notebook that computes in double precision would otherwise change a run's numbers under the same id.
    """
    before = {name: getattr(jax.config, name) for name in _GLOBAL}
    with ExitStack() as held:
        for context, value in _SCOPED:
            held.enter_context(context(value))
        for name, value in _GLOBAL.items():
            jax.config.update(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)
