"""Programs of a run compiled for GPUs that are not here: their memory, and how many operations they are.

Run as a process of its own, ``python -m nmepkg.planning.ahead``, which reads a request as JSON and prints what it found.
Planning itself starts no JAX, a compiler that gives up ends one request alone, and no GPU of this machine is touched.

XLA compiles for a device that is described (:mod:`nmepkg.planning.cards`) by JAX's CUDA plugin. Nothing runs, and no kernel is
timed, so that another algorithm of a convolution, with other temporary memory, may be chosen on the card itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from nmepkg import curvature, extensions, numerics
from nmepkg.data.store import Scaling
from nmepkg.measurement.batches import sizes
from nmepkg.planning.cards import CARDS
from nmepkg.registry import DATASETS
from nmepkg.specs import Recipe, recipe
from nmepkg.study.setups import classes, counts, data_shape
from nmepkg.training import build
from nmepkg.training.devices import ONE, Layout
from nmepkg.training.feed import evaluation_batch
from nmepkg.training.optimizer import hyperparameters
from nmepkg.training.step import make_program

STEP, EVALUATION, MEASUREMENT = "step", "evaluation", "measurement"


@contextmanager
def on_accelerator() -> Iterator[None]:
    """What asks JAX where it computes, as a model does of its 1×1 convolutions, is told: on a GPU."""
    before = jax.default_backend
    jax.default_backend = lambda: "gpu"
    try:
        yield
    finally:
        jax.default_backend = before


def described(card: str, count: int) -> list[Any]:
    """So many devices of a card, as JAX's compiler takes them.

    Raises:
      RuntimeError: JAX has no CUDA plugin of its own version here.
    """
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=CARDS[card].target(), topology=f"1x1x{count}"
    )
    return list(topology.devices)


def lowered(spec: Mapping[str, Any], what: str, devices: Sequence[Any] | None = None) -> Any:
    """A program of a run, traced and lowered.

    Args:
      spec: canonical, of a run.
      what: the training's step; its evaluation of one batch; or, as measurements take it, G v and N v of what BatchNorm
        normalises together, in full float32.
      devices: for these, as accelerators compute it, the batch shared out evenly; None: for this process's own, as a CPU does,
        and with loops written out, so that all operations are counted.
    """
    run = recipe(spec)
    if devices is None:
        return _lowered(run, spec, what, ONE, None)
    mesh = None if len(devices) == 1 else Mesh(np.asarray(devices), ("examples",))
    with on_accelerator():
        return _lowered(run, spec, what, Layout(mesh, unroll=False), SingleDeviceSharding(devices[0]))


@numerics.settings()
def _lowered(run: Recipe, spec: Mapping[str, Any], what: str, layout: Layout, one: Any) -> Any:
    everywhere = layout.everywhere or one
    shared = everywhere if layout.mesh is None else NamedSharding(layout.mesh, PartitionSpec("examples"))

    def on(sharding: Any, tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)

    shape, outputs, found = data_shape(spec["data"]), classes(spec["data"]), counts(spec)
    pixels = len(shape) == 3
    scaling = Scaling(np.full(shape[-1], 0.5, np.float32), np.full(shape[-1], 0.25, np.float32)) if pixels else None

    def examples(count: int, sharding: Any) -> tuple[Any, Any]:
        inputs = jax.ShapeDtypeStruct((count, *shape), jnp.uint8 if pixels else jnp.float32, sharding=sharding)
        return inputs, jax.ShapeDtypeStruct((count,), jnp.int32, sharding=sharding)

    program = make_program(run, outputs, found.train, scaling, layout)
    hyper = hyperparameters(run, found.train)
    state = on(everywhere, jax.eval_shape(program.init, np.uint32(0), hyper, examples(1, None)[0]))
    hyper = on(everywhere, jax.eval_shape(lambda: hyper))
    if what == STEP:
        total = found.train + found.validation + found.test
        streamed = DATASETS[run.data.name].streamed
        data = examples(run.training.batch_size, shared) if streamed else examples(total, everywhere)
        return jax.jit(program.step, donate_argnums=0, out_shardings=layout.everywhere).lower(state, hyper, data)
    if what == EVALUATION:
        size = evaluation_batch(run.training, evaluated(run, found), layout)
        members = jax.ShapeDtypeStruct((size, 3), jnp.bool_, sharding=shared)
        return jax.jit(program.evaluate, out_shardings=layout.everywhere).lower(
            state, hyper, examples(size, shared), members
        )

    model = build.model(run, outputs)(activation=build.activation(run.activation))

    def parts(state: Any, v: Any, batch: tuple[Array, Array]) -> Any:
        def logits_fn(params: Any) -> Array:
            variables = {"params": params, "batch_stats": state.batch_stats}
            inputs = batch[0] if scaling is None else scaling(batch[0])
            return model.apply(variables, inputs, train=True, mutable=["batch_stats"])[0]

        return curvature.linearize(logits_fn, lambda z: build.loss(run)(z, batch[1]), state.params).parts(v)

    group = sizes(run.training, run.model, None, run.method.m).group
    with jax.default_matmul_precision("highest"):
        return jax.jit(parts).lower(state, state.params, examples(group, everywhere))


def evaluated(run: Recipe, found: Any) -> int:
    """Examples of one evaluation."""
    kept = found.train if run.training.evaluate_train is None else min(run.training.evaluate_train, found.train)
    return int(kept + found.validation + found.test)


def memory(compiled: Any) -> dict[str, int]:
    """Bytes of a compiled program on each device: ``arguments``, ``temporary``, and ``needed``, which has results too."""
    found = compiled.memory_analysis()
    given = found.output_size_in_bytes - found.alias_size_in_bytes
    return {
        "arguments": found.argument_size_in_bytes,
        "temporary": found.temp_size_in_bytes,
        "needed": found.argument_size_in_bytes + found.temp_size_in_bytes + given,
    }


def main() -> None:
    """Reads a request, with the study's extensions; without a card, prints the operations of a step, or of an example."""
    request = json.load(sys.stdin)
    extensions.load(request["extensions"], Path(request["beside"]))
    if request["card"] is None:
        program = lowered(request["spec"], request["what"])
        operations = program.cost_analysis()["flops"]
        if request["what"] == EVALUATION:
            operations /= program.in_avals[0][2][0].shape[0]  # of the inputs
        print(json.dumps({"flops": operations}))
        return
    devices = described(request["card"], request["gpus"])
    print(json.dumps(memory(lowered(request["spec"], request["what"], devices).compile())))


if __name__ == "__main__":
    main()
