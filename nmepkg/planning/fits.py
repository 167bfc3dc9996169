"""Whether the runs of a study fit a GPU that need not be here, and how long they take on it.

Each distinct program of a study is compiled for the device (:mod:`nmepkg.planning.ahead`), which says how much memory it needs.
Hours are its operations, as XLA counts them for a CPU, over what the device does at a utilisation that is stated: a share of
the largest rate of its data sheet, for what products are computed in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from nmepkg import surroundings
from nmepkg.planning.cards import CARDS
from nmepkg.records import to_json
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.fingerprint import PACKAGE
from nmepkg.study.setups import counts
from nmepkg.study.spec import Spec, Study

PROGRAMS = ("step", "evaluation", "measurement")

# Shares of the largest rate of products. TF32: of the 495 TFLOP/s of an H200's data sheet, ten steps of WRN-28-10 and ResNet-50
# that were timed (docs/performance/gpu.csv) reached 0.15, SGD of ResNet-50, to 0.50, a Hessian trace of WRN-28-10; half of them
# 0.28 and more. This is the least. Assumed: bfloat16 as TF32; full float32, with less to move for what it computes, half.
UTILISATION = {"float32": 0.5, "tensorfloat32": 0.15, "bfloat16": 0.15}
USABLE = 0.9  # of a device's memory, which is what jobs let JAX have (nmepkg.gpus)
FIELDS = (
    *("setup", "method", "runs", "device", "gpus", "products"),
    *("step_gb", "evaluation_gb", "measurement_gb", "device_gb", "fits", "tflop_per_step", "device_hours", "note"),
)
NO_PLUGIN = (
    "no memory: JAX's CUDA plugin is not here; python -m pip install jax-cuda12-plugin=={0} jax-cuda12-pjrt=={0}"
)

Request = dict[str, Any]  # what `nmepkg.planning.ahead` reads
Row = dict[str, Any]


class Shape(NamedTuple):
    """Runs of one program, but for the activation: that of the first stands for all."""

    setup: str
    spec: Spec
    gpus: int
    runs: tuple[str, ...]
    measured: bool


def shapes(study: Study, expansion: Expansion) -> list[Shape]:
    """The distinct programs of a study: a setup with a method, but for its strength."""
    setups, measured = expansion.setup_of(), {job.run for job in expansion.measurements.values()}
    alike: dict[str, list[str]] = {}
    for id, run in expansion.runs.items():
        method = {**run.spec["method"], "strength": 0.0}
        varied = {"method": method, "activation": None, "seed": 0}
        alike.setdefault(to_json({**run.spec, **varied}), []).append(id)
    order = list(study.setups)
    found = [
        Shape(
            setups[ids[0]],
            expansion.runs[ids[0]].spec,
            max(1, study.setups[setups[ids[0]]].resources.gpus),
            tuple(ids),
            not measured.isdisjoint(ids),
        )
        for ids in alike.values()
    ]
    return sorted(found, key=lambda shape: order.index(shape.setup))


def request(spec: Spec, what: str, card: str | None, gpus: int = 1) -> Request:
    """Of a program of a run: its memory on a card, or without one its operations."""
    fixed = {"strength": 0.1} if "strength" in spec["method"] else {}
    plain = {**spec, "seed": 0, "method": {**spec["method"], **fixed}}
    if card is None:  # a part of a batch is counted as if there were no others
        plain["training"] = {**spec["training"], "accumulate": 1}
        gpus = 1
    if what != PROGRAMS[0]:  # the same for all methods
        plain["method"] = {"name": "sgd", "strength": 0.0}
    return {"spec": plain, "what": what, "card": card, "gpus": gpus}


def found_by_process(request: Request, extensions: Iterable[str] = (), beside: Path = Path()) -> dict[str, Any]:
    """What a process of its own finds of a request, or ``{"problem"}``.

    Args:
      extensions: of the study, which is in the folder ``beside``.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if request["card"] is not None:  # without a GPU to try them on, its products by Triton find no sizes of tiles
        flags += " --xla_gpu_enable_triton_gemm=false"
    done = subprocess.run(
        [sys.executable, "-m", "nmepkg.planning.ahead"],
        cwd=PACKAGE.parent,
        env={**surroundings.of_jobs(), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()},
        input=json.dumps({**request, "extensions": list(extensions), "beside": str(beside.absolute())}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return {"problem": lines[-1][:200] if lines else f"the compiler ended with {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def step_memory(spec: Spec, card: str, gpus: int = 1) -> dict[str, Any]:
    """Bytes that a step of a run needs on each of some GPUs, by compiling it for them; no GPU is touched.

    Args:
      spec: canonical, of a run.
      card: of :data:`nmepkg.planning.cards.CARDS`.
      gpus: among which a batch is shared out.

    Returns:
      ``{"arguments", "temporary", "needed"}``, or ``{"problem"}`` where the compiler or JAX's CUDA plugin is missing or fails.
    """
    return found_by_process(request(spec, PROGRAMS[0], card, gpus))


def missing_plugin() -> str | None:
    """The line that says what to install; None where JAX has a CUDA plugin."""
    if find_spec("jax_plugins") and any(find_spec(f"jax_plugins.xla_cuda{cuda}") for cuda in (12, 13)):
        return None
    return NO_PLUGIN.format(version("jaxlib"))


def flops(spec: Spec, step: float, example: float) -> float:
    """Of a whole training, by those of a step and of evaluating an example."""
    found, training = counts(spec), spec["training"]
    kept = found.train if training["evaluate_train"] is None else min(training["evaluate_train"], found.train)
    epochs, every, last = training["epochs"], training["evaluate_every"], max(1, training["evaluate_last"])
    evaluations = 1 + sum(epoch % every == 0 or epoch > epochs - last for epoch in range(1, epochs + 1))
    return found.steps * step + evaluations * (kept + found.validation + found.test) * example


def rows(
    shapes: Iterable[Shape],
    cards: Iterable[str],
    utilisation: float | None = None,
    answer: Callable[[Request], dict[str, Any]] | None = None,
    missing: str | None = None,
) -> Iterator[Row]:
    """A row for each program and device, as soon as it is known.

    Args:
      utilisation: share of the device's largest rate; None: by :data:`UTILISATION`.
      answer: to a request, as :func:`found_by_process` gives it, the default; each is asked once.
      missing: why nothing can be compiled for a GPU.
    """
    known: dict[str, dict[str, Any]] = {}
    find = answer or found_by_process

    def ask(spec: Spec, what: str, card: str | None, gpus: int = 1) -> dict[str, Any]:
        asked = request(spec, what, card, gpus)
        key = to_json(asked)
        if key not in known:
            known[key] = {"problem": missing} if card is not None and missing else find(asked)
        return known[key]

    cards = list(cards)
    for shape in shapes:
        kind = products(shape.spec["training"])
        operations = [ask(shape.spec, what, None) for what in PROGRAMS[:2]]
        for name in cards:
            card = CARDS[name]
            wanted = [what for what in PROGRAMS if what != PROGRAMS[2] or shape.measured]
            # A measurement is of one device.
            found = {what: ask(shape.spec, what, name, 1 if what == PROGRAMS[2] else shape.gpus) for what in wanted}
            needed = {what: memory.get("needed") for what, memory in found.items()}
            largest = max((bytes for bytes in needed.values() if bytes is not None), default=None)
            problems = dict.fromkeys(of["problem"] for of in (*found.values(), *operations) if "problem" in of)
            hours = None
            if not any("problem" in of for of in operations):
                total = flops(shape.spec, operations[0]["flops"], operations[1]["flops"])
                hours = total / (card.rates[kind] * (utilisation or UTILISATION[kind])) / 3600
            yield {
                "setup": shape.setup,
                "method": label(shape.spec["method"]),
                "runs": len(shape.runs),
                "device": name,
                "gpus": shape.gpus,
                "products": kind,
                **{f"{what}_gb": _gb(needed.get(what)) for what in PROGRAMS},
                "device_gb": _gb(card.memory),
                "fits": None if None in needed.values() or largest is None else largest <= USABLE * card.memory,
                "tflop_per_step": None if hours is None else operations[0]["flops"] / 1e12,
                "device_hours": hours,
                "note": "; ".join(problems),
            }


def products(training: Spec) -> str:
    """What a GPU computes most products of a training in."""
    if training["precision"] == "bfloat16":
        return "bfloat16"
    return "float32" if training["matmul_precision"] == "float32" else "tensorfloat32"


def label(method: Spec) -> str:
    """A method with the options that decide its memory most."""
    shown = [f"{key} {method[key]}" for key in ("samples", "m") if method.get(key) not in (None, 1)]
    return ", ".join([method["name"], *shown])


def _gb(bytes: int | None) -> float | None:
    return None if bytes is None else bytes / 1e9
