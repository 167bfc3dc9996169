"""Training steps on this machine's accelerator: time and memory, beside eager PyTorch's where it is installed.

    python -m benchmarks.gpu [--minutes 8] [--out results/benchmarks]

Writes ``gpu.csv``, each row as soon as it is measured; called again it goes on with what is missing. A network is measured in a
process of its own, by one library after the other: a compiler that aborts, or memory that runs out, costs one row. Both compute
in float32 with the card's shortened products (TF32), JAX's default there, for which PyTorch has to be asked. XLA counts the
operations of our steps for a CPU: of a program for a GPU it leaves out what it hands to libraries. ``XLA_FLAGS`` are yours, and
recorded.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.peers import cases
from benchmarks.peers.turns import Worker, rounds

COUNT = "XLA's count"  # in place of a library
TASKS = {"SGD": "sgd", "SAM": "sam", "PSAM": "psam", "Hessian trace": "hessian_trace", "GN trace": "gn_trace"}
CEILING = "matrix product"  # of the card at its best; the task is the side of the matrices
NETWORKS = ("MLP 3×128", "WRN-16-4", "WRN-28-10", "ResNet-50")
FIELDS = (
    *("network", "task", "library", "milliseconds", "tflop", "gigabytes", "compiling"),
    *("error", "device", "version", "flags", "date"),
)

Row = dict[str, Any]


def milliseconds(call: Callable[[], Any], wait: Callable[[Any], Any], seconds: float) -> float:
    """Of a call: the median of rounds, each of as many calls as fill a tenth of the time."""

    def time_of(repetitions: int) -> float:
        start = time.perf_counter()
        for _ in range(repetitions):
            result = call()
        wait(result)
        return (time.perf_counter() - start) / repetitions

    return 1e3 * statistics.median(rounds({"": time_of}, most=1000, budget=seconds, turn=seconds / 10)[""])


class Ours:
    """Compiled steps of this package."""

    def __init__(self, name: str) -> None:
        import jax

        from benchmarks import networks
        from nmepkg import activations
        from nmepkg.models.resnet import ResNet
        from nmepkg.models.wide_resnet import WideResNet

        self.about = {"device": jax.devices()[0].device_kind, "version": f"jax {jax.__version__}"}
        if name != CEILING:
            network = {
                "MLP 3×128": networks.NETWORKS["MLP 3×128"],
                "WRN-16-4": networks.Network(WideResNet(10, activations.relu, 16, 4), networks.LARGE),
                "WRN-28-10": networks.Network(WideResNet(10, activations.relu, 28, 10), networks.LARGE),
                "ResNet-50": networks.Network(ResNet(1000, activations.relu), cases.NETWORKS["ResNet-50"].shape),
            }[name]
            self.problem = networks.problem(network)

    def product(self, task: str, seconds: float) -> Row:
        import jax

        a = jax.random.normal(jax.random.key(0), (int(task), int(task)))
        dot = jax.jit(jax.numpy.dot)
        taken = milliseconds(lambda: dot(a, a), jax.block_until_ready, seconds)
        return self.about | {"milliseconds": taken, "tflop": 2 * int(task) ** 3 / 1e12}

    def step(self, task: str, seconds: float) -> Row:
        import jax

        lowered, arguments = self._lowered(task)
        start = time.perf_counter()
        step = lowered.compile()
        compiling = time.perf_counter() - start
        return self.about | {
            "milliseconds": milliseconds(lambda: step(*arguments), jax.block_until_ready, seconds),
            "gigabytes": step.memory_analysis().temp_size_in_bytes / 1e9,
            "compiling": compiling,
        }

    def count(self, task: str, seconds: float) -> Row:
        return self.about | {"tflop": self._lowered(task)[0].cost_analysis()["flops"] / 1e12}

    def _lowered(self, task: str) -> tuple[Any, tuple[Any, ...]]:
        """A step that is traced, and its arguments."""
        from benchmarks import networks
        from nmepkg.registry import METHODS

        step, arguments = networks.direction(self.problem, METHODS[TASKS[task]].load()())
        return step.lower(*arguments), arguments


class Theirs:
    """Eager steps of PyTorch, as :mod:`benchmarks.peers.steps` has them."""

    def __init__(self, name: str) -> None:
        import torch

        from benchmarks.peers import networks
        from tests.peers.torch_models import WideResNet

        self.cuda = torch.cuda.is_available()
        self.device = "cuda" if self.cuda else "cpu"
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
        kind = torch.cuda.get_device_name() if self.cuda else "cpu"
        self.about = {"device": kind, "version": f"torch {torch.__version__}"}
        if name != CEILING:
            wide = {"WRN-16-4": (16, 4), "WRN-28-10": (28, 10)}
            self.model = (WideResNet(10, *wide[name]) if name in wide else networks.MODELS[name]()).to(self.device)
            given = cases.NETWORKS["WRN-16-1" if name in wide else name]
            *pixels, last = given.shape
            self.inputs = torch.randn(128, last, *pixels, device=self.device)
            self.labels = torch.randint(given.classes, (128,), device=self.device)

    def product(self, task: str, seconds: float) -> Row:
        import torch

        a = torch.randn(int(task), int(task), device=self.device)
        taken = milliseconds(lambda: a @ a, self._wait, seconds)
        return self.about | {"milliseconds": taken, "tflop": 2 * int(task) ** 3 / 1e12}

    def step(self, task: str, seconds: float) -> Row:
        import torch

        from benchmarks.peers import steps

        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        taken = milliseconds(steps.make(task, self.model, self.inputs, self.labels), self._wait, seconds)
        memory = torch.cuda.max_memory_allocated() / 1e9 if self.cuda else None
        return self.about | {"milliseconds": taken, "gigabytes": memory}

    def _wait(self, result: Any) -> None:
        import torch

        if self.cuda:
            torch.cuda.synchronize()


_PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"  # off, so that what one library frees the other has

# Whose class measures, by which of its methods, in a process with which variables.
LIBRARIES: dict[str, tuple[str, str, dict[str, str]]] = {
    cases.OURS: ("Ours", "step", {_PREALLOCATE: os.environ.get(_PREALLOCATE, "false")}),
    cases.PYTORCH: ("Theirs", "step", {}),
    COUNT: ("Ours", "count", {"JAX_PLATFORMS": "cpu"}),
}


def rows(name: str, tasks: list[str], library: str, seconds: float, until: float) -> Iterator[Row]:
    """What a process measures of a network; where it dies or fails, the rest by another."""
    kind, method, environment = LIBRARIES[library]
    left = list(tasks)
    while left and time.monotonic() < until:
        try:
            with Worker(f"benchmarks.gpu:{kind}", name, environment=environment) as worker:
                while left and time.monotonic() < until:
                    yield {"task": left[0], **worker.ask("product" if name == CEILING else method, left[0], seconds)}
                    del left[0]
        except RuntimeError as error:
            yield {"task": left.pop(0), "error": str(error)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--seconds", type=float, default=1, help="of a step's rounds")
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--side", default="8192", help="of the matrices whose product is the card's best")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder of gpu.csv")
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes
    file = arguments.out / "gpu.csv"
    arguments.out.mkdir(parents=True, exist_ok=True)
    flags, date = os.environ.get("XLA_FLAGS", ""), datetime.date.today().isoformat()
    with file.open("a+", encoding="utf-8", newline="") as opened:
        opened.seek(0)
        known = {(row["network"], row["task"], row["library"], row["flags"]) for row in csv.DictReader(opened)}
        writer = csv.DictWriter(opened, FIELDS)
        if not file.stat().st_size:
            writer.writeheader()
        for name in (CEILING, *arguments.networks):
            for library in LIBRARIES:
                if library == cases.PYTORCH and not (find_spec("torch") and find_spec("torchvision")):
                    continue
                wanted = TASKS if name != CEILING else [arguments.side] if library != COUNT else []
                left = [task for task in wanted if (name, task, library, flags) not in known]
                for row in rows(name, left, library, arguments.seconds, until):
                    writer.writerow({"network": name, "library": library, "flags": flags, "date": date, **row})
                    opened.flush()
                    print(name, library, row, flush=True)
    print(file)


if __name__ == "__main__":
    main()
