"""Steps of training in eager PyTorch, as its users write them: a direction is left in the parameters' ``grad``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.peers import cases

Direction = Callable[[nn.Module, Tensor, Tensor, float], None]


def make(task: str, model: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], None]:
    """A step: the direction, and plain descent along it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=cases.RATE)
    direction, strength = DIRECTIONS[task], cases.STRENGTHS[task]
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        direction(model, x, labels, strength)
        optimizer.step()

    return step


def sgd(model: nn.Module, x: Tensor, labels: Tensor, strength: float) -> None:
    cross_entropy(model(x), labels).backward()


def sam(model: nn.Module, x: Tensor, labels: Tensor, strength: float) -> None:
    cross_entropy(model(x), labels).backward()
    params = list(model.parameters())
    with torch.no_grad():
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p.grad) for p in params]))
        ascent = [strength * p.grad / length for p in params]
        for p, e in zip(params, ascent, strict=True):
            p.add_(e)
            p.grad = None
    cross_entropy(model(x), labels).backward()
    with torch.no_grad():
        for p, e in zip(params, ascent, strict=True):
            p.sub_(e)


def psam(model: nn.Module, x: Tensor, labels: Tensor, strength: float) -> None:
    loss = cross_entropy(model(x), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    (loss + strength * length).backward()


def hessian_trace(model: nn.Module, x: Tensor, labels: Tensor, strength: float) -> None:
    params = list(model.parameters())
    loss = cross_entropy(model(x), labels)
    gradients = torch.autograd.grad(loss, params, create_graph=True)
    probe = [torch.randn_like(p) for p in params]
    products = torch.autograd.grad(gradients, params, grad_outputs=probe, create_graph=True)
    (loss + strength * sum((v * product).sum() for v, product in zip(probe, products, strict=True))).backward()


def gn_trace(model: nn.Module, x: Tensor, labels: Tensor, strength: float) -> None:
    logits = model(x)
    drawn = torch.distributions.Categorical(logits=logits.detach()).sample()
    gradients = torch.autograd.grad(cross_entropy(logits, drawn), list(model.parameters()), create_graph=True)
    penalty = len(x) * sum((g**2).sum() for g in gradients)
    (cross_entropy(logits, labels) + strength * penalty).backward()


DIRECTIONS: dict[str, Direction] = {
    "SGD": sgd,
    "SAM": sam,
    "PSAM": psam,
    "Hessian trace": hessian_trace,
    "GN trace": gn_trace,
}
