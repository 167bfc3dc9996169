"""The networks in PyTorch, and what of them has another order there than in ours."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn

from benchmarks.peers import cases
from tests.peers import torch_models


class CNN(nn.Module):
    """As ours: its features are flattened channels last, so that the dense layer has the same weights."""

    def __init__(self, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for inputs, outputs in ((1, 32), (32, 64), (64, 64)):
            blocks += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), activation(), nn.AvgPool2d(2)]
        self.features = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Linear(3 * 3 * 64, 128), activation(), nn.Linear(128, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).permute(0, 2, 3, 1).flatten(1))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "CNN, GELU": partial(CNN, nn.GELU),
    "CNN, ReLU": partial(CNN, nn.ReLU),
    "MLP 3×128": partial(torch_models.mlp, 40, 10, nn.GELU, 128, 3, norm=False),
    "WRN-16-1": partial(torch_models.WideResNet, 10, 16, 1),
    "ResNet-50": torchvision.models.resnet50,
    cases.SMALL: partial(torch_models.mlp, 16, 4, nn.GELU, 16, 2, norm=False),
}


def inputs(x: np.ndarray) -> torch.Tensor:
    """Images are (B, H, W, C) in ours and (B, C, H, W) here."""
    return torch.tensor(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)


def order(model: nn.Module) -> np.ndarray:
    """(P,) the place of each of our flat parameters among PyTorch's: those of a model whose parameters are their places."""
    places, start = copy.deepcopy(model), 0
    for parameter in places.parameters():
        parameter.data = torch.arange(start, start + parameter.numel(), dtype=torch.float64).reshape(parameter.shape)
        start += parameter.numel()
    return _flat(torch_models.variables(places)["params"]).astype(int)


def _flat(tree: Any) -> np.ndarray:
    """Leaves by name, as JAX has them."""
    if isinstance(tree, dict):
        return np.concatenate([_flat(tree[key]) for key in sorted(tree)])
    return tree.ravel()
