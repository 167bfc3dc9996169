"""What several devices compute, printed as JSON: run by test_devices.py in processes with devices of their own.

python -m tests.training.devices CASES          # as many simulated devices as XLA_FLAGS says
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nmepkg.data import store
from nmepkg.data.store import Dataset, Scaling
from nmepkg.registry import METHODS
from nmepkg.specs import recipe
from nmepkg.training import checkpoint, devices, loop
from nmepkg.training import train as training
from nmepkg.training.optimizer import hyperparameters
from nmepkg.training.step import State, make_program
from tests.training.runs import CLASSES, adamw, make_spec, method

IMAGES = {"name": "generated", "shape": [6, 6, 1], "classes": CLASSES, "train": 40, "test": 9, "seed": 0}
AUGMENTED = {"data": IMAGES, "augmentation": {"name": "pad_crop_flip", "padding": 2, "flip": True}}


def images() -> Dataset:
    """Bytes of 6 × 6 pixels, 40 examples."""
    rng = np.random.default_rng(0)

    def part(size: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, 256, (size, 6, 6, 1), dtype=np.uint8), rng.integers(0, CLASSES, size).astype(np.int32)

    scaling = Scaling(np.float32([0.5]), np.float32([0.3]))
    return Dataset(part(40), part(7), part(9), CLASSES, "0" * 64, scaling)


def cases() -> dict[str, dict[str, Any]]:
    """Name -> spec: every method, methods in groups, groups of BatchNorm, decay in the loss, the basis, and accumulation."""
    training = {"batch_size": 16, "epochs": 2}
    found = {
        name: make_spec(**AUGMENTED, method=method(name, 0.1), training=training)
        for name, entry in METHODS.items()
        if not entry.per_example
    }
    without_norm = {"model": {"batch_norm": False}, **AUGMENTED}
    found["gn_trace_exact"] = make_spec(**without_norm, method=method("gn_trace_exact", 0.1), training=training)
    psam = method("psam", 0.1)
    # Fewer and more groups than devices. Normalised over four examples, a trace penalty of this size would be ill-conditioned.
    for name, strength, m in (("sam", 0.1, 4), ("psam", 0.1, 2), ("hessian_trace", 0.003, 4)):
        found[f"{name} m={m}"] = make_spec(**AUGMENTED, method=method(name, strength) | {"m": m}, training=training)
    found["batch_norm_group"] = make_spec(**AUGMENTED, method=psam, training=training | {"batch_norm_group": 4})
    # Convolutions, whose groups the compiler would not keep apart by itself.
    cnn = {"model": {"name": "cnn", "channels": [4], "width": 4}}
    for m in (2, 8, 4):
        found[f"cnn m={m}"] = {**make_spec(**AUGMENTED, method=psam | {"m": m}, training=training), **cnn}
    inside = {"optimizer": {"weight_decay": 0.01, "decay_in_loss": True}}
    found["decay in the loss"] = make_spec(
        **AUGMENTED, **inside, method=method("sam", 0.1) | {"m": 2}, training=training
    )
    basis = method("hessian_trace", 0.003) | {"probe": "basis"}
    found["basis"] = make_spec(**AUGMENTED, method=basis, training=training)
    found["adamw"] = {**make_spec(**without_norm, method=psam, training=training), "optimizer": adamw()}
    # Before BatchNorm a bias has a gradient of nothing but rounding, of which Adam makes steps where ε is no larger.
    found["adamw eps"] = {**make_spec(**AUGMENTED, method=psam, training=training), "optimizer": adamw(eps=1e-3)}
    found["accumulate"] = make_spec(**without_norm, method=psam, training=training | {"accumulate": 2})
    return found


@cache
def begun(model: str, optimizer: str) -> State:
    """The state at the beginning of the first epoch, which depends on the model and the optimiser alone."""
    spec = {**make_spec(**AUGMENTED), "model": json.loads(model), "optimizer": json.loads(optimizer)}
    data = images()
    program = make_program(recipe(spec), CLASSES, 40, data.scaling)
    return program.begin_epoch(program.init(np.uint32(0), hyperparameters(recipe(spec), 40), data.example))


def update(spec: dict[str, Any], layout: devices.Layout) -> tuple[list[float], list[str]]:
    """Parameters, running averages and loss after two steps; and what devices tell one another in a step."""
    data = images()
    program = make_program(recipe(spec), CLASSES, 40, data.scaling, layout)
    hyper, arrays = layout.replicate(hyperparameters(recipe(spec), 40)), layout.replicate(data.train)
    state = layout.replicate(begun(json.dumps(spec["model"]), json.dumps(spec["optimizer"])))
    step = jax.jit(program.step, out_shardings=layout.everywhere).lower(state, hyper, arrays).compile()
    for _ in range(2):
        state = step(state, hyper, arrays)
    leaves = jax.tree.leaves((state.params, state.batch_stats, state.loss))
    numbers = [float(x) for leaf in leaves for x in np.asarray(leaf, np.float64).ravel()]
    kinds = r"(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
    return numbers, sorted(set(re.findall(kinds, step.as_text())))


def updates() -> dict[str, Any]:
    """Every case on one device, and on all."""
    everything = cases()
    return {
        name: {
            "one": update(spec, devices.ONE),
            "all": update(spec, devices.layout(recipe(spec))),
        }
        for name, spec in everything.items()
    }


def whole() -> dict[str, Any]:
    """A whole training in the loop."""
    spec = make_spec(**AUGMENTED, method=method("psam", 0.1), training={"batch_size": 8, "epochs": 3})
    outcome = loop.train(recipe(spec), images(), lambda epoch, row: None, lambda step, state: None)
    return {"history": outcome.history, "devices": len(outcome.state.loss.sharding.device_set)}


def joined() -> dict[str, Any]:
    """The same, of several processes."""
    devices.join()
    return {**whole(), "processes": jax.process_count(), "leads": devices.leads()}


def write_data(folder: Path) -> None:
    """The images, prepared."""
    data = images()
    arrays = {f"{split}_{part}": getattr(data, split)[i] for split in ("train", "test") for i, part in enumerate("xy")}
    store.write(folder / "data.npz", arrays, IMAGES, "c0de")


def run(folder: str, steps: str) -> dict[str, Any]:
    """A run in a folder, as a job trains it, that is asked to stop after so many steps, with a checkpoint."""
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        devices.join()
    spec = make_spec(**AUGMENTED, method=method("psam", 0.1), training={"batch_size": 8, "epochs": 3})
    asked = iter(range(int(steps)))
    try:
        task = training.Task("run", spec, "c0de", Path(folder, "run"), Path(folder, "data.npz"))
        result = training.train(task, stopping=lambda: next(asked, None) is None)
    except checkpoint.StoppedError:
        print("\nstopped", flush=True)
        devices.leave(75)
    return {"history": result.get("history"), "earlier": len(result.get("provenance", {}).get("earlier", []))}


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    what, *arguments = sys.argv[1:]
    functions: dict[str, Callable[..., Any]] = {"updates": updates, "whole": whole, "joined": joined, "run": run}
    print("\n" + json.dumps(functions[what](*arguments)), flush=True)
