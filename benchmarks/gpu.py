"""Training steps on this machine's accelerator: time, memory and FLOP/s, beside eager PyTorch's where it is installed.

    python -m benchmarks.gpu [--minutes 8] [--out results/benchmarks]

Writes ``gpu.csv``, each row as soon as it is measured; called again it goes on with what is missing. A network is measured in a
process of its own, by one library after the other: a compiler that aborts, or memory that runs out, costs one row. Both compute
in float32 with the card's shortened products (TF32), JAX's default there, for which PyTorch has to be asked. FLOPs are those of
our step as written, convolutions included, and are divided by each library's time. ``XLA_FLAGS`` are yours, and recorded.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

OURS, PYTORCH = "nmepkg", "PyTorch"
TASKS = {"SGD": "sgd", "SAM": "sam", "PSAM": "psam", "Hessian trace": "hessian_trace", "GN trace": "gn_trace"}
CEILING = "matrix product"  # of the card at its best
FIELDS = (
    *("network", "task", "library", "milliseconds", "tflops", "gigabytes", "compiling"),
    *("error", "device", "version", "flags", "date"),
)
MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # so that what one library frees the other has

Row = dict[str, Any]


class Network(NamedTuple):
    """A batch of its inputs; 0 and 0 where it is no residual network."""

    batch: int
    shape: tuple[int, ...]
    classes: int = 10
    depth: int = 0
    width: int = 0


NETWORKS = {
    "MLP 3×128": Network(128, (40,)),
    "WRN-16-4": Network(128, (32, 32, 3), depth=16, width=4),
    "WRN-28-10": Network(128, (32, 32, 3), depth=28, width=10),
    "ResNet-50": Network(128, (224, 224, 3), 1000, depth=50),
}


def milliseconds(call: Callable[[], Any], wait: Callable[[Any], Any], seconds: float) -> float:
    """Of a call: the median of rounds, each of as many calls as fill a tenth of the time."""
    wait(call())
    start = time.perf_counter()
    wait(call())
    calls = max(1, int(0.1 * seconds / (time.perf_counter() - start)))
    rounds: list[float] = []
    begin = time.perf_counter()
    while len(rounds) < 5 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(calls):
            result = call()
        wait(result)
        rounds.append((time.perf_counter() - start) / calls)
    return 1e3 * statistics.median(rounds)


def ours(name: str, tasks: list[str], seconds: float) -> Iterator[Row]:
    """Compiled steps of this package."""
    import jax

    from benchmarks import networks
    from nmepkg import activations
    from nmepkg.models.mlp import MLP
    from nmepkg.models.resnet import ResNet
    from nmepkg.models.wide_resnet import WideResNet
    from nmepkg.registry import METHODS

    about = {"device": jax.devices()[0].device_kind, "version": f"jax {jax.__version__}"}
    if name == CEILING:
        side = int(tasks[0])
        a = jax.random.normal(jax.random.key(0), (side, side))
        product = jax.jit(jax.numpy.dot)
        yield about | {"task": tasks[0], **_product(side, lambda: product(a, a), jax.block_until_ready, seconds)}
        return
    network = NETWORKS[name]
    model: Any = (
        MLP(network.classes, activations.gelu, 128, 3)
        if not network.depth
        else WideResNet(network.classes, activations.relu, network.depth, network.width)
        if network.width
        else ResNet(network.classes, activations.relu)
    )
    given = networks.problem(networks.Network(model, network.shape, network.batch))
    for task in tasks:
        step, arguments = networks.direction(given, METHODS[TASKS[task]].load()())
        lowered = step.lower(*arguments)
        start = time.perf_counter()
        compiled = lowered.compile()
        found = {"task": task, "compiling": time.perf_counter() - start}
        taken = milliseconds(
            lambda compiled=compiled, given=arguments: compiled(*given), jax.block_until_ready, seconds
        )
        memory = compiled.memory_analysis().temp_size_in_bytes / 1e9
        yield about | found | {"milliseconds": taken, "gigabytes": memory}


def theirs(name: str, tasks: list[str], seconds: float) -> Iterator[Row]:
    """Eager steps of PyTorch, as :mod:`benchmarks.peers.steps` has them."""
    import torch
    import torchvision

    from benchmarks.peers import steps
    from tests.peers import torch_models

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    about = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "version": f"torch {torch.__version__}",
    }

    def wait(result: Any) -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    if name == CEILING:
        side = int(tasks[0])
        a = torch.randn(side, side, device=device)
        yield about | {"task": tasks[0], **_product(side, lambda: a @ a, wait, seconds)}
        return
    network = NETWORKS[name]
    model = (
        torch_models.mlp(*network.shape, network.classes, torch.nn.GELU, 128, 3, norm=False)
        if not network.depth
        else torch_models.WideResNet(network.classes, network.depth, network.width)
        if network.width
        else torchvision.models.resnet50()
    ).to(device)
    *pixels, last = network.shape
    inputs = torch.randn(network.batch, last, *pixels, device=device)
    labels = torch.randint(network.classes, (network.batch,), device=device)
    for task in tasks:
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        taken = milliseconds(steps.make(task, model, inputs, labels), wait, seconds)
        memory = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None
        yield about | {"task": task, "milliseconds": taken, "gigabytes": memory}


def _product(side: int, call: Callable[[], Any], wait: Callable[[Any], Any], seconds: float) -> Row:
    taken = milliseconds(call, wait, seconds)
    return {"milliseconds": taken, "tflops": 2 * side**3 / taken / 1e9}


def rows(name: str, tasks: list[str], library: str, seconds: float, until: float) -> Iterator[Row]:
    """What a process measures of a network; where it dies or fails, the rest by another."""
    left = list(tasks)
    while left and time.monotonic() < until:
        command = [sys.executable, "-m", "benchmarks.gpu", "--worker", library, name, str(seconds), *left]
        log: list[str] = []
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=MEMORY | os.environ
        ) as worker:
            assert worker.stdout
            for line in worker.stdout:
                if line.startswith('{"task'):
                    found = json.loads(line)
                    left.remove(found["task"])
                    yield found
                    if time.monotonic() > until:
                        worker.kill()
                elif line.strip():
                    log.append(line.strip())
        if left and time.monotonic() < until:
            why = next((line for line in log if "Check failed" in line), log[-1] if log else "no word")
            yield {"task": left.pop(0), "error": why}


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        library, name, seconds, *tasks = sys.argv[2:]
        for row in (ours if library == OURS else theirs)(name, tasks, float(seconds)):
            print(json.dumps({"task": row["task"], **row}), flush=True)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--seconds", type=float, default=1, help="of a step's rounds")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--side", type=int, default=8192, help="of the matrices whose product is the card's best")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder of gpu.csv")
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes
    file = arguments.out / "gpu.csv"
    arguments.out.mkdir(parents=True, exist_ok=True)
    have = list(csv.DictReader(file.open(encoding="utf-8"))) if file.exists() else []
    libraries = [OURS] + ([PYTORCH] if find_spec("torch") and find_spec("torchvision") else [])
    flags, date = os.environ.get("XLA_FLAGS", ""), datetime.date.today().isoformat()
    with file.open("a", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, FIELDS)
        if not have:
            writer.writeheader()
        for name in (CEILING, *arguments.networks):
            for library in libraries:
                known = {
                    row["task"]
                    for row in have
                    if (row["network"], row["library"], row["flags"]) == (name, library, flags)
                }
                wanted = [task for task in ([str(arguments.side)] if name == CEILING else TASKS) if task not in known]
                for row in rows(name, wanted, library, arguments.seconds, until):
                    writer.writerow({"network": name, "library": library, "flags": flags, "date": date, **row})
                    opened.flush()
                    print(name, library, row, flush=True)
    print(file)


if __name__ == "__main__":
    main()
