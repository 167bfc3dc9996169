"""One gradient step of the large models against PyTorch's: forward in training mode and backward, float32, on the CPU.

    make benchmark-peers
    python benchmarks/peers.py [--rounds 5] [--batch 32] [--threads 2]

WRN-28-10 on 32×32 images and ResNet-50 on 224×224; ours compiled, PyTorch's eager, with as many threads each. The two take
turns in one process, so that a busy machine slows them alike; the ratio is the median of the rounds'.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def threads() -> tuple[argparse.Namespace, int]:
    """Arguments, with JAX held to their number of threads: it has as many as cores that the process may use."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: arguments.threads]
    os.sched_setaffinity(0, cores)
    return arguments, len(cores)


sys.path.insert(0, str(Path(__file__).parents[1]))  # for tests.peers
ARGUMENTS, THREADS = threads() if __name__ == "__main__" else (argparse.Namespace(), 1)

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402

from nmepkg.losses import cross_entropy  # noqa: E402
from nmepkg.models.resnet import ResNet  # noqa: E402
from nmepkg.models.wide_resnet import WideResNet  # noqa: E402
from tests.peers import torch_models  # noqa: E402

# Name -> (ours, PyTorch's, side of an image, classes)
MODELS: dict[str, tuple[nn.Module, Callable[[], torch.nn.Module], int, int]] = {
    "WRN-28-10": (WideResNet(10, jax.nn.relu, 28, 10), partial(torch_models.WideResNet, 10, 28, 10), 32, 10),
    "ResNet-50": (ResNet(1000, jax.nn.relu), torchvision.models.resnet50, 224, 1000),
}


def our_step(model: nn.Module, x: np.ndarray, labels: np.ndarray) -> tuple[Callable[[], Any], int]:
    """(the step, bytes of its intermediate values)."""
    x, labels = jax.device_put((x, labels))
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), x)

    def loss(params: Any, averages: Any, x: jax.Array, labels: jax.Array) -> tuple[jax.Array, Any]:
        full = {"params": params, "batch_stats": averages}
        logits, updates = model.apply(full, x, train=True, mutable=["batch_stats"])
        return cross_entropy(logits, labels), updates

    arguments = (variables["params"], variables["batch_stats"], x, labels)
    step = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*arguments).compile()
    return lambda: jax.block_until_ready(step(*arguments)), step.memory_analysis().temp_size_in_bytes


def their_step(model: torch.nn.Module, x: np.ndarray, labels: np.ndarray) -> Callable[[], Any]:
    images, targets = torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(labels)
    model.train()

    def step() -> None:
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(images), targets).backward()

    return step


def main() -> None:
    torch.set_num_threads(THREADS)
    print(f"jax {jax.__version__}, torch {torch.__version__}, {THREADS} threads, batch {ARGUMENTS.batch}")
    print(f"{'':12}{'JAX':>10}{'PyTorch':>10}{'ratio':>7}{'memory':>12}")
    for name, (model, make, side, classes) in MODELS.items():
        x = np.random.default_rng(0).normal(size=(ARGUMENTS.batch, side, side, 3)).astype(np.float32)
        labels = np.arange(ARGUMENTS.batch) % classes
        ours, memory = our_step(model, x, labels)
        steps = {"jax": ours, "torch": their_step(make(), x, labels)}
        seconds: dict[str, list[float]] = {key: [] for key in steps}
        for _ in range(ARGUMENTS.rounds + 1):  # the first round warms up
            for key, step in steps.items():
                start = time.perf_counter()
                step()
                seconds[key].append(time.perf_counter() - start)
        ratio = statistics.median(a / b for a, b in zip(seconds["jax"][1:], seconds["torch"][1:], strict=True))
        jax_s, torch_s = (statistics.median(times[1:]) for times in seconds.values())
        print(f"{name:12}{jax_s:8.2f} s{torch_s:8.2f} s{ratio:7.2f}{memory / 1e6:9.0f} MB", flush=True)


if __name__ == "__main__":
    main()
