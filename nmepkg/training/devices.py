"""Where a training runs: one program over one or many devices, of this machine or of several, by data parallelism.

Parameters and optimiser state are on every device, the examples of a batch are shared out. What a program computes is a
function of the whole batch (normalisation, perturbations and penalties too), so that its numbers do not depend on the number of
devices, but for the order of sums. The compiler puts the communication where sums over examples are taken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nmepkg.errors import UserError
from nmepkg.specs import Recipe


class Layout(NamedTuple):
    """How arrays lie on the devices.

    Attributes:
      mesh: of one axis, ``examples``; None on a single device, where nothing has to be said.
      unroll: whether loops of a step are written out, as a CPU has to have them; see
        :class:`nmepkg.methods.parts.Execution`.
    """

    mesh: Mesh | None = None
    unroll: bool = True

    @property
    def devices(self) -> int:
        """Number of devices."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def everywhere(self) -> NamedSharding | None:
        """Of arrays that every device has."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def replicate(self, tree: Any) -> Any:
        """Puts arrays of the host, the same in every process, on every device."""
        if jax.process_count() == 1:
            return jax.device_put(tree, self.everywhere)
        return jax.tree.map(self._replicate_here, tree)  # `device_put` would send all of it around, to compare

    def _replicate_here(self, leaf: Any) -> Array:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(self._replicate_here(jax.random.key_data(leaf)))
        return jax.make_array_from_process_local_data(self.everywhere, np.asarray(leaf))

    def share(self, tree: Any) -> Any:
        """Puts a batch of the host on the devices, its examples shared out; of several processes, each gives its own part."""
        if self.mesh is None:
            return jax.device_put(tree)
        sharding = NamedSharding(self.mesh, PartitionSpec("examples"))
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), tree)

    def shared(self, x: Array, axis: int = 0) -> Array:
        """In a compiled program: an array whose ``axis`` of examples is shared out."""
        if self.mesh is None:
            return x
        spec = PartitionSpec(*[None] * axis, "examples")
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))


ONE = Layout()


def layout(recipe: Recipe) -> Layout:
    """All devices among which a batch can be shared out evenly, or as many of them as can.

    What is shared out are the examples that are worked on at once, a batch or a part of it; where a method has groups, whole
    groups, or else the examples of each.

    Args:
      recipe: of the run.

    Raises:
      UserError: there are several processes, whose devices all have to take part, and cannot.
    """
    devices = jax.devices()
    examples = recipe.training.examples_at_once
    batch, m = recipe.training.batch_size, recipe.method.m or recipe.training.batch_size
    count = max(n for n in range(1, len(devices) + 1) if (batch // m) % n == 0 or min(m, examples) % n == 0)
    if jax.process_count() > 1 and count < len(devices):
        raise UserError(
            f"training.batch_size: {examples} examples at once cannot be shared out among {len(devices)} devices of "
            f"{jax.process_count()} processes; change the batch or the number of devices"
        )
    mesh = None if count == 1 else Mesh(np.asarray(devices[:count]), ("examples",))
    return Layout(mesh, unroll=devices[0].platform == "cpu")


def join(environment: Mapping[str, str] = os.environ) -> None:
    """Joins the other processes of a training on several hosts: the tasks of a Slurm step, or those that variables name.

    ``JAX_COORDINATOR_ADDRESS``, ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID`` are JAX's own, and come first. It waits for the
    others: call it only where a run is meant to be trained together.

    Raises:
      UserError: one of the variables is missing or no number, this is no step of several tasks, or the others do not come.
    """
    if "JAX_COORDINATOR_ADDRESS" in environment:
        numbers = []
        for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
            text = environment.get(name, "")
            if not text.isdecimal():
                raise UserError(
                    f"{name}: {text!r} is no number; with JAX_COORDINATOR_ADDRESS, set it for every process"
                )
            numbers.append(int(text))
        if numbers[1] >= numbers[0]:
            raise UserError(f"JAX_PROCESS_ID: {numbers[1]} is none of {numbers[0]} processes, which count from 0")
        arguments: list[Any] = [environment["JAX_COORDINATOR_ADDRESS"], *numbers]
    elif environment.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "0", "1"):
        arguments = []
    else:
        raise UserError(
            "no other processes: this is no Slurm step of several tasks, and no JAX_COORDINATOR_ADDRESS is set"
        )
    try:
        jax.distributed.initialize(*arguments)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the other processes cannot be joined: {str(error).splitlines()[0]}") from None


def leave(code: int) -> NoReturn:
    """Ends this process. One of several does not wait for the others, which may be waiting for it."""
    if jax.process_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def leads() -> bool:
    """Whether this process is the one that writes files and decides when to stop."""
    return jax.process_index() == 0


def agree(value: Any) -> Any:
    """A pytree of arrays of the leading process, in every process; others give arrays of the same shapes."""
    return value if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(value)
