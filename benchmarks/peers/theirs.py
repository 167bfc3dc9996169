"""Theirs: PyTorch and what is built on it, and the exact numbers in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, jvp, vjp

from benchmarks.peers import cases, networks, steps
from benchmarks.peers.libraries import CRITERION, LIBRARIES, Point
from benchmarks.peers.turns import seconds
from tests.peers import torch_models


class Theirs:
    """One network at a time, with a batch of its own making.

    Args:
      threads: of PyTorch.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def use(self, network: str) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
        """Makes it the network of what follows: (variables as ours has them, inputs, labels, vectors)."""
        torch.manual_seed(0)
        shape = cases.NETWORKS[network]
        rng = np.random.default_rng(0)
        x = rng.normal(size=(shape.batch, *shape.shape)).astype(np.float32)
        labels = rng.integers(shape.classes, size=shape.batch)
        model = networks.MODELS[network]()
        self._order = networks.order(model)
        vectors = torch.randn(cases.VECTORS if network in cases.CURVED else 0, len(self._order))
        self._at = Point(model, networks.inputs(x), torch.tensor(labels), vectors)
        self._programs: dict[tuple[str, str], Callable[[], Any]] = {}
        return torch_models.variables(model), x, labels, vectors.numpy()[:, self._order]

    def seconds(self, library: str, task: str, repetitions: int) -> float:
        """Of one repetition."""
        if (library, task) not in self._programs:
            at = self._at._replace(model=copy.deepcopy(self._at.model))
            training = library == cases.PYTORCH
            self._programs[library, task] = (
                steps.make(task, at.model, at.inputs, at.labels)
                if training
                else partial(LIBRARIES[library][task], at, 0)
            )
        return seconds(self._programs[library, task], repetitions)

    def value(self, library: str, task: str, draw: int) -> Any:
        """What a task of curvature gives, in our order; where it is random, another for every ``draw``."""
        at = self._at._replace(model=copy.deepcopy(self._at.model))
        found = LIBRARIES[library][task](at, draw)
        if isinstance(found, tuple):
            return tuple(x.detach().double().numpy() for x in found)
        if task in ("H v", "G v"):
            return found.detach().numpy()[:, self._order]
        return float(found)

    def exact(self, task: str) -> Any:
        """What products of H and G are in float64, in our order; for the small network, H itself."""
        model = copy.deepcopy(self._at.model).double().eval()
        params = {name: p.detach() for name, p in model.named_parameters()}
        x, labels = self._at.inputs.double(), self._at.labels
        if task == "H v":
            leaves = [p.requires_grad_() for p in model.parameters()]
            gradients = torch.autograd.grad(CRITERION(model(x), labels), leaves, create_graph=True)
            rows = [torch.autograd.grad(gradients, leaves, _tree(v, leaves), retain_graph=True) for v in self._double]
            return self._in_our_order(rows)
        logits = partial(_logits, model, x)
        if task == "G v":
            z, pullback = vjp(logits, params)
            rows = []
            for v in self._double:
                _, along = jvp(logits, (params,), (dict(zip(params, _tree(v, list(params.values())), strict=True)),))
                p = z.softmax(1)
                curved = p * (along - (p * along).sum(1, keepdim=True)) / len(x)  # H_z of the mean cross-entropy
                rows.append(tuple(pullback(curved)[0].values()))
            return self._in_our_order(rows)
        flat = torch.cat([p.flatten() for p in params.values()])

        def loss(flat: Tensor) -> Tensor:
            return CRITERION(logits(dict(zip(params, _tree(flat, list(params.values())), strict=True))), labels)

        return hessian(loss)(flat).numpy()[np.ix_(self._order, self._order)]

    @property
    def _double(self) -> Tensor:
        return self._at.vectors.double()

    def _in_our_order(self, rows: list[tuple[Tensor, ...]]) -> np.ndarray:
        return torch.stack([torch.cat([x.flatten() for x in row]) for row in rows]).detach().numpy()[:, self._order]


def _logits(model: nn.Module, x: Tensor, params: dict[str, Tensor]) -> Tensor:
    return functional_call(model, params, (x,))


def _tree(v: Tensor, like: list[Tensor]) -> list[Tensor]:
    parts = v.split([p.numel() for p in like])
    return [part.view(p.shape) for part, p in zip(parts, like, strict=True)]
