"""Networks in PyTorch, and their weights as variables of ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


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


class CNN(nn.Module):
    """As ours, on square images of an even side at each convolution: at stride 2 "SAME" pads those at their far side alone."""

    def __init__(self, classes: int, activation: Callable[[], nn.Module], channels: list[int], width: int, side: int):
        super().__init__()
        blocks: list[nn.Module] = []
        for inputs, outputs in zip([1, *channels[:-1]], channels, strict=True):
            blocks += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(inputs, outputs, 3, 2), activation()]
        self.features = nn.Sequential(*blocks)
        pixels = (side // 2 ** len(channels)) ** 2
        self.head = nn.Sequential(nn.Linear(pixels * channels[-1], width), activation(), nn.Linear(width, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).permute(0, 2, 3, 1).flatten(1))


def mlp(
    inputs: int, classes: int, activation: Callable[[], nn.Module], width: int, depth: int, norm: bool
) -> nn.Module:
    modules: list[nn.Module] = []
    for i in range(depth):
        modules += [nn.Linear(width if i else inputs, width), *([nn.BatchNorm1d(width)] if norm else []), activation()]
    return nn.Sequential(*modules, nn.Linear(width, classes))


def randomize(model: nn.Module) -> None:
    """Draws all that a fresh model has by default: scales, biases and running averages."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, NORMS):
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
            if layer.bias is not None:
                params[name]["bias"] = array(layer.bias)
        elif isinstance(layer, nn.Linear):
            params[name] = {"kernel": array(layer.weight).T, "bias": array(layer.bias)}
        else:
            params[name] = {"scale": array(layer.weight), "bias": array(layer.bias)}
            averages[name] = {"mean": layer.running_mean.numpy().copy(), "var": layer.running_var.numpy().copy()}
    return {"params": params, "batch_stats": averages}


def layers(model: nn.Module) -> dict[str, Any]:
    """Flax's name of each layer -> the layer."""
    found: dict[str, Any] = {}
    for kind, name in ((nn.Conv2d, "Conv"), (NORMS, "BatchNorm"), (nn.Linear, "Dense")):
        of_kind = (module for module in model.modules() if isinstance(module, kind))
        found |= {f"{name}_{i}": module for i, module in enumerate(of_kind)}
    return found


def count_examples(model: nn.Module) -> dict[str, int]:
    """For each BatchNorm, the numbers of a channel in the last pass; filled as passes are made."""
    counts: dict[str, int] = {}

    def count(name: str, module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        counts[name] = inputs[0][:, 0].numel()

    for name, layer in layers(model).items():
        if isinstance(layer, NORMS):
            layer.register_forward_hook(partial(count, name))
    return counts
