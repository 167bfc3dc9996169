"""Theirs: steps of PyTorch as :mod:`benchmarks.peers.steps` has them, eager or compiled, and curvlinops' products."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from benchmarks.gpu.cases import CEILING
from benchmarks.gpu.rounds import Row, milliseconds
from benchmarks.peers import cases, steps
from tests.peers import torch_models


class Layer(nn.Module):
    """Of a transformer; attention is written out, as the fused one of PyTorch has no second derivative."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)])
        self.attention, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        split = self.attention(self.norms[0](x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(batch, tokens, width))
        return x + self.dense(self.norms[1](x))


class ViT(nn.Module):
    """As :class:`nmepkg.models.vit.ViT`, of images of 32×32 in patches of 4×4."""

    def __init__(self, classes: int, depth: int, width: int, heads: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.position = nn.Parameter(0.02 * torch.randn(64, width))
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.layers(x)).mean(1))


# Name -> (model, shape of an input, classes)
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "MLP 3×128": (partial(torch_models.mlp, 40, 10, nn.GELU, 128, 3, norm=False), (40,), 10),
    "WRN-16-4": (partial(torch_models.WideResNet, 10, 16, 4), (3, 32, 32), 10),
    "WRN-28-10": (partial(torch_models.WideResNet, 10, 28, 10), (3, 32, 32), 10),
    "ResNet-50": (torchvision.models.resnet50, (3, 224, 224), 1000),
    "ViT 6×384": (partial(ViT, 10, 6, 384, 6), (3, 32, 32), 10),
}


class Theirs:
    """A network of PyTorch with a batch of 128; its arguments are those of :class:`benchmarks.gpu.ours.Ours`."""

    def __init__(self, name: str, precision: str) -> None:
        self._cuda = torch.cuda.is_available()
        self._device = "cuda" if self._cuda else "cpu"
        short = precision == "tensorfloat32"
        torch.set_float32_matmul_precision("high" if short else "highest")
        torch.backends.cudnn.allow_tf32 = short
        torch.backends.cudnn.benchmark = True
        self._half = precision == "bfloat16"
        kind = torch.cuda.get_device_name() if self._cuda else "cpu"
        self._about = {"device": kind, "version": f"torch {torch.__version__}"}
        if name != CEILING:
            make, shape, classes = MODELS[name]
            self._model = make().to(self._device)
            self._inputs = torch.randn(128, *shape, device=self._device)
            self._labels = torch.randint(classes, (128,), device=self._device)

    def step(self, task: str, seconds: float) -> Row:
        if task.isdigit():
            return self._product(int(task), seconds)
        return self._timed(steps.make(task, self._model, self._inputs, self._labels), seconds)

    def compiled(self, task: str, seconds: float) -> Row:
        model = torch.compile(self._model)
        step = steps.make(task, model, self._inputs, self._labels)
        start = time.perf_counter()
        with self._computing():
            step()
        self._wait(None)
        compiling = time.perf_counter() - start
        return self._timed(step, seconds) | {"compiling": compiling}

    def curvature(self, task: str, seconds: float) -> Row:
        import curvlinops

        params = list(self._model.parameters())
        kind = curvlinops.GGNLinearOperator if task == "G v" else curvlinops.HessianLinearOperator
        batches, loss = [(self._inputs, self._labels)], nn.CrossEntropyLoss()
        size = sum(p.numel() for p in params)
        vectors = torch.randn(size, cases.VECTORS, device=self._device)

        def call() -> Any:
            operator = kind(self._model, loss, params, batches, check_deterministic=False)
            return curvlinops.hutchinson_trace(operator, cases.PROBES) if task == "trace of H" else operator @ vectors

        return self._timed(call, seconds)

    def _product(self, side: int, seconds: float) -> Row:
        a = torch.randn(side, side, device=self._device, dtype=torch.bfloat16 if self._half else torch.float32)
        return self._about | {
            "milliseconds": milliseconds(lambda: a @ a, self._wait, seconds),
            "tflop": 2 * side**3 / 1e12,
        }

    def _timed(self, call: Callable[[], Any], seconds: float) -> Row:
        """Time, and peak memory on a GPU."""
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        with self._computing():
            taken = milliseconds(call, self._wait, seconds)
        memory = torch.cuda.max_memory_allocated() / 1e9 if self._cuda else None
        return self._about | {"milliseconds": taken, "gigabytes": memory}

    def _computing(self) -> Any:
        return torch.autocast(self._device, torch.bfloat16) if self._half else nullcontext()

    def _wait(self, result: Any) -> None:
        if self._cuda:
            torch.cuda.synchronize()
