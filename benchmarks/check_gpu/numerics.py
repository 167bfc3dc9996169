"""Products, methods and a training of each model, in float32 on the device beside float64 on the CPU.

Products on the device are taken in full ("highest"). What is right to rounding there has an error like that of float32 on the
CPU, which is measured too: an error of more than twenty of those, and of more than a small bound, fails the check. Methods that
draw random numbers would draw others in float64; :mod:`benchmarks.check_gpu.rounding` has them.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree

from benchmarks.check_gpu.outcomes import Outcome, Task
from benchmarks.networks import applied
from benchmarks.peers.turns import Worker
from nmepkg import activations, curvature, losses
from nmepkg.registry import METHODS, MODELS

TIMES, BOUND = 20, 1e-5

_SEQUENCE, _IMAGE = (40,), (32, 32, 3)
SHAPES = {"mlp": _SEQUENCE, "resnet1d": _SEQUENCE}
FURTHER: dict[str, dict[str, Any]] = {"vit": {"patch": 8}, "mlp": {"batch_norm": False}}
DRAWING = ("weight_noise", "hessian_trace", "nme_trace", "gn_trace", "gn_trace_hutchinson")
ALIKE = [name for name, method in METHODS.items() if name not in DRAWING and not method.pair]  # called alike
STEPS, RATE, STRENGTH = 20, 0.05, 0.02

FIELDS = ("model", "asked", "quantity", "device", "cpu", "wrong")


def run(task: Task) -> Outcome:
    """``numerics.csv`` in the folder of the check, and its largest error."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share the card
    until, file, lock = time.monotonic() + task.seconds, task.folder / "numerics.csv", Lock()
    models = ["mlp"] if task.small else list(MODELS)
    if not file.exists():
        file.write_text(",".join(FIELDS) + "\n", encoding="utf-8")
    known = set(pd.read_csv(file)[["model", "asked"]].itertuples(index=False, name=None))

    def one(model: str) -> bool:
        """Whether all of a model was compared in time."""
        left = [name for name in (["products"] if task.small else asked(model)) if (model, name) not in known]
        if not left:
            return True
        with ExitStack() as stack:
            settings = (("float32", ""), ("float32", "cpu"), ("float64", "cpu"))
            device, host, exact = (stack.enter_context(Worker(f"{__name__}:Numbers", *each)) for each in settings)
            params = host.ask("use", model, None)
            for worker in (device, exact):
                worker.ask("use", model, params)
            for name in left:
                if time.monotonic() > until:
                    return False
                rows = compared(*(worker.ask("found", name) for worker in (device, host, exact)))
                with lock:
                    _append(file, ({"model": model, "asked": name, **row} for row in rows))
        return True

    with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)) // 2)) as pool:
        whole = all(list(pool.map(one, models)))
    return told(file, whole)


def asked(model: str) -> list[str]:
    """What is compared of a model: methods that take gradients of single examples are not for BatchNorm."""
    mixes = MODELS[model].mixes_examples({"name": model, **options(model)})
    return ["products", "training", *(name for name in ALIKE if not (mixes and METHODS[name].per_example))]


def options(model: str) -> dict[str, Any]:
    """Of a registered model, as small as it can be."""
    return dict(MODELS[model].small) | FURTHER.get(model, {})


def told(file: Path, whole: bool) -> Outcome:
    rows = pd.read_csv(file)
    wrong = rows[rows["wrong"].astype(bool)]
    line = f"{len(rows)} quantities of {rows['model'].nunique()} models against float64"
    if len(wrong):
        names = [f"{row['model']} {row['quantity']} ({row['device']:.0e})" for _, row in wrong.iterrows()]
        return Outcome("failed", f"{line}; wrong: {', '.join(names)}")
    if len(rows):
        worst = rows.iloc[int(rows["device"].argmax())]
        line += f": the largest error is {worst['device']:.0e} ({worst['model']}, {worst['quantity']})"
    return Outcome("passed" if whole else "cut off", line)


def _append(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    with file.open("a", encoding="utf-8", newline="") as opened:
        csv.DictWriter(opened, FIELDS).writerows(rows)


def compared(device: Any, host: Any, exact: Any) -> Iterator[dict[str, Any]]:
    """A row for each quantity: relative errors ‖found − exact‖/‖exact‖, and whether the device's is more than rounding."""
    for name, right in exact.items():
        errors = [float(np.linalg.norm(found[name] - right) / np.linalg.norm(right)) for found in (device, host)]
        wrong = not errors[0] <= max(TIMES * errors[1], BOUND)  # NaN is wrong
        yield {"quantity": name, "device": errors[0], "cpu": errors[1], "wrong": wrong}


class Numbers:
    """What is compared, computed by one process.

    Args:
      dtype: of parameters and inputs.
      platform: to compute on; none for JAX's choice.
    """

    def __init__(self, dtype: str, platform: str) -> None:
        self._dtype = dtype
        jax.config.update("jax_enable_x64", dtype == "float64")
        jax.config.update("jax_default_matmul_precision", "highest")
        if platform:
            jax.config.update("jax_platforms", platform)

    def use(self, name: str, params: Any) -> Any:
        """Makes a registered model, with GELU and as small as it can be, the one of what follows.

        Args:
          params: of it, as NumPy's; None: fresh ones.

        Returns:
          The parameters.
        """
        rng, shape = np.random.default_rng(0), SHAPES.get(name, _IMAGE)
        model = MODELS[name].load()(classes=10, activation=activations.gelu, **options(name))
        inputs, self._labels = rng.normal(size=(32, *shape)), jnp.asarray(rng.integers(10, size=32))
        self._inputs = jnp.asarray(inputs, self._dtype)
        variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), self._inputs)
        given = variables["params"] if params is None else params
        self._params = jax.tree.map(lambda leaf: jnp.asarray(leaf, self._dtype), given)
        self._apply = applied(model, variables)
        return jax.device_get(self._params)

    def found(self, name: str) -> dict[str, np.ndarray]:
        """Name of a quantity -> its numbers, in a row."""
        if name == "products":
            return self._products()
        if name == "training":
            return {"training": self._training()}
        return {name: _flat(self._step(name)(self._params))}

    def _products(self) -> dict[str, np.ndarray]:
        v = jax.tree.map(
            jnp.cos, jax.tree.map(lambda p: jnp.arange(p.size, dtype=p.dtype).reshape(p.shape), self._params)
        )

        @jax.jit
        def products(params: Any, v: Any) -> Any:
            at = curvature.linearize(
                lambda p: self._apply(p, self._inputs)[0], lambda z: losses.cross_entropy(z, self._labels), params
            )
            h, g = at.hvp(v), at.gnvp(v)
            return {"gradient": at.gradient, "H v": h, "G v": g, "N v": jax.tree.map(jnp.subtract, h, g)}

        return {name: _flat(tree) for name, tree in products(self._params, v).items()}

    def _step(self, method: str) -> Any:
        options = {"p": 2} if method == "gradient_penalty" else {}
        chosen = METHODS[method].load()(**options)
        batch, key = (self._inputs, self._labels), jax.random.key(0)
        return jax.jit(lambda p: chosen(self._apply, losses.cross_entropy, p, batch, key, STRENGTH).direction)

    def _training(self) -> np.ndarray:
        """The loss after a few steps of SAM."""
        step, params = self._step("sam"), self._params
        for _ in range(STEPS):
            params = jax.tree.map(lambda p, d: p - RATE * d, params, step(params))
        loss = jax.jit(lambda p: losses.cross_entropy(self._apply(p, self._inputs)[0], self._labels))(params)
        return np.asarray(loss, np.float64)[None]


def _flat(tree: Any) -> np.ndarray:
    return np.asarray(ravel_pytree(tree)[0], np.float64)
