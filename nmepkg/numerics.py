"""The settings of JAX that decide numbers: all that trains or measures computes with these, whatever else has been set.

They are part of what a run is, so this module is part of its code hash. What a user may decide is in
:mod:`nmepkg.surroundings`: it is recorded with each result instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

SETTINGS: dict[str, Any] = {
    "jax_enable_x64": False,  # also decides which bits `jax.random.rademacher` draws
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_softmax_custom_jvp": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
}


@contextmanager
def settings() -> Iterator[None]:
    """Computes a block, or a function that it decorates, with JAX's settings as every result of this package has them.

    The values are those that JAX has by itself. Variables such as ``JAX_DEFAULT_PRNG_IMPL``, set for another project, or a
    notebook that computes in double precision would otherwise change a run's numbers under the same id.
    """
    with ExitStack() as held:
        for name, value in SETTINGS.items():
            scoped = getattr(jax, name.removeprefix("jax_"), None)  # for this thread alone; not every setting has one
            if scoped is not None:
                held.enter_context(scoped(value))
            else:
                held.callback(jax.config.update, name, getattr(jax.config, name))
                jax.config.update(name, value)
        yield
