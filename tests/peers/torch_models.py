"""Residual networks in PyTorch, and their weights as variables of ours."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class WideBlock(nn.Module):
    """norm → ReLU → conv → norm → ReLU → conv, of Zagoruyko & Komodakis (2016), figure 1 (a)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        changes = inputs != outputs or stride != 1
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return shortcut + self.conv2(F.relu(self.norm2(self.conv1(y))))


class WideResNet(nn.Module):
    """WRN-d-k from the paper's table 1; its modules are defined in the order in which ours are called."""

    def __init__(self, classes: int, depth: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        channels, blocks = 16, []
        for outputs, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for i in range((depth - 4) // 6):
                blocks.append(WideBlock(channels, outputs, stride if i == 0 else 1))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.norm(self.blocks(self.conv(x)))).mean((2, 3)))


def randomize(model: nn.Module) -> None:
    """Draws all that a fresh model has by default: scales, biases and running averages."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.3, 1.0),
                (module.bias, -0.3, 0.3),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.7, 1.5),
            ):
                tensor.data.uniform_(low, high, generator=generator)


def variables(model: nn.Module, gradients: bool = False) -> dict[str, Any]:
    """Its parameters (or their gradients) and running averages, named and laid out as Flax does: OIHW becomes HWIO.

    Layers are numbered in the order in which they are defined, which is that in which ours are called.
    """
    params: dict[str, Any] = {}
    averages: dict[str, Any] = {}

    def array(tensor: torch.Tensor) -> np.ndarray:
        return (tensor.grad if gradients else tensor).detach().numpy().copy()

    for name, layer in layers(model).items():
        if isinstance(layer, nn.Conv2d):
            params[name] = {"kernel": array(layer.weight).transpose(2, 3, 1, 0)}
        elif isinstance(layer, nn.Linear):
            params[name] = {"kernel": array(layer.weight).T, "bias": array(layer.bias)}
        else:
            params[name] = {"scale": array(layer.weight), "bias": array(layer.bias)}
            averages[name] = {"mean": layer.running_mean.numpy().copy(), "var": layer.running_var.numpy().copy()}
    return {"params": params, "batch_stats": averages}


def layers(model: nn.Module) -> dict[str, Any]:
    """Flax's name of each layer -> the layer."""
    found: dict[str, Any] = {}
    for kind, name in ((nn.Conv2d, "Conv"), (nn.BatchNorm2d, "BatchNorm"), (nn.Linear, "Dense")):
        of_kind = (module for module in model.modules() if isinstance(module, kind))
        found |= {f"{name}_{i}": module for i, module in enumerate(of_kind)}
    return found


def count_examples(model: nn.Module) -> dict[str, int]:
    """For each BatchNorm, the numbers of a channel in the last pass; filled as passes are made."""
    counts: dict[str, int] = {}

    def count(name: str, module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        counts[name] = inputs[0][:, 0].numel()

    for name, layer in layers(model).items():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(partial(count, name))
    return counts
