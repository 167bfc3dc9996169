"""Small networks in both frameworks with the same parameters and data, and their curvature matrices by curvlinops.

Matrices are (P, P) in float64, in the order of our flat parameter vector. Conventions differ in one place: PyTorch's squared
error is a mean over examples and classes, ours a mean over examples of ½ ‖z − t‖², which is C/2 of it.
"""

from __future__ import annotations

import copy
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from jax.flatten_util import ravel_pytree
from torch import nn

from nmepkg import activations, losses
from nmepkg.measurement.problem import Problem
from nmepkg.models.cnn import CNN
from nmepkg.models.mlp import MLP
from tests.peers import torch_models

CLASSES, BATCH, BATCHES, SIDE = 3, 7, 3, 8
OPERATORS = {"H": HessianLinearOperator, "G": GGNLinearOperator}
ACTIVATIONS = {
    "tanh": (activations.tanh, nn.Tanh),
    "gelu": (activations.gelu, nn.GELU),
    "softplus": (activations.softplus, nn.Softplus),
    "relu": (activations.relu, nn.ReLU),
}
CASES = [
    ("mlp", "cross_entropy", "tanh"),
    ("mlp", "mse", "gelu"),
    ("mlp", "smoothed", "relu"),
    ("batch_norm", "cross_entropy", "softplus"),
    ("cnn", "cross_entropy", "gelu"),
    ("cnn", "mse", "tanh"),
]


class Pair(NamedTuple):
    """One network twice.

    Attributes:
      problem, params, context: ours.
      model, criterion, batches: PyTorch's.
      factor: our loss is this times the criterion.
      order: the flat parameter vector of PyTorch, at these places, is ours.
    """

    problem: Problem
    params: Any
    context: Any
    model: nn.Module
    criterion: nn.Module
    batches: list[tuple[torch.Tensor, torch.Tensor]]
    factor: float
    order: np.ndarray

    def operator(self, part: str, batches: slice = slice(None)) -> Any:
        """curvlinops' H or G, of some batches' criterion, in PyTorch's order."""
        return OPERATORS[part](self.model, self.criterion, list(self.model.parameters()), self.batches[batches])

    def matrix(self, part: str, batches: slice = slice(None)) -> np.ndarray:
        """H, G or N = H − G of the mean of our loss over some batches."""
        if part == "N":
            return self.matrix("H", batches) - self.matrix("G", batches)
        size = len(self.order)
        full = (self.operator(part, batches) @ torch.eye(size, dtype=torch.float64)).detach().numpy()
        return self.factor * full[np.ix_(self.order, self.order)]

    def gradient(self, batches: slice = slice(None)) -> np.ndarray:
        """(P,) of the mean of our loss over some batches."""
        chosen = self.batches[batches]
        loss = sum(self.criterion(self.model(x), y) for x, y in chosen) / len(chosen)
        gradients = torch.autograd.grad(loss, list(self.model.parameters()))
        return self.factor * torch.cat([g.flatten() for g in gradients]).numpy()[self.order]

    def preactivations(self, kind: type[nn.Module]) -> list[torch.Tensor]:
        """What each activation sees, over all batches, in the order of calls."""
        seen: list[list[torch.Tensor]] = []
        for module in self.model.modules():
            if isinstance(module, kind):
                inputs: list[torch.Tensor] = []
                seen.append(inputs)
                module.register_forward_pre_hook(lambda module, arguments, into=inputs: into.append(arguments[0]))
        for x, _ in self.batches:
            self.model(x)
        return [torch.cat([x.detach() for x in inputs]) for inputs in seen]

    def unravel(self, vector: Any) -> Any:
        """A flat vector in our order as a pytree."""
        return ravel_pytree(self.params)[1](jnp.asarray(vector))


def make(name: tuple[str, str, str]) -> Pair:
    """The pair called (model, loss, activation)."""
    kind, loss, activation = name
    ours, theirs, shape = _models(kind, *ACTIVATIONS[activation])
    theirs.double().eval()
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(BATCHES, BATCH, *shape))
    labels = rng.integers(CLASSES, size=(BATCHES, BATCH))
    loss_fn, criterion, factor = _loss(loss)

    def target(y: np.ndarray) -> torch.Tensor:
        return torch.tensor(np.eye(CLASSES)[y] if loss == "mse" else y)

    # Images are (B, H, W, C) here and (B, C, H, W) there.
    batches = [
        (torch.tensor(x.transpose(0, 3, 1, 2) if kind == "cnn" else x), target(y))
        for x, y in zip(inputs, labels, strict=True)
    ]
    variables = jax.tree.map(jnp.asarray, torch_models.variables(theirs))

    def apply(params: Any, context: Any, x: jax.Array, phi: Any) -> jax.Array:
        model = ours.clone(activation=phi)
        return model.apply({"params": params, "batch_stats": context}, x, train=False)

    def preactivations_fn(params: Any, context: Any, x: jax.Array) -> list[jax.Array]:
        seen: list[jax.Array] = []
        apply(params, context, x, lambda x: (seen.append(x), ours.activation(x))[1])
        return seen

    problem = Problem(
        logits_fn=lambda params, context, x: apply(params, context, x, ours.activation),
        ablated_logits_fn=lambda params, context, x: apply(
            params, context, x, activations.replace_second_derivative(ours.activation, activations.zero)
        ),
        preactivations_fn=preactivations_fn,
        activation=lambda context, x: ours.activation(x),
        loss_fn=loss_fn,
        batches=tuple((jnp.asarray(x), jnp.asarray(y)) for x, y in zip(inputs, labels, strict=True)),
    )
    return Pair(
        problem, variables["params"], variables["batch_stats"], theirs, criterion, batches, factor, _order(theirs)
    )


@functools.cache
def matrices(name: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """H, G and N of all batches, by curvlinops."""
    pair = make(name)
    return {part: pair.matrix(part) for part in "HGN"}


def _models(kind: str, phi: Any, module: type[nn.Module]) -> tuple[Any, nn.Module, tuple[int, ...]]:
    """(ours, PyTorch's with random parameters, shape of an example)."""
    torch.manual_seed(0)
    if kind == "cnn":
        return CNN(CLASSES, phi, (2, 3), 4), torch_models.CNN(CLASSES, module, [2, 3], 4, SIDE), (SIDE, SIDE, 1)
    norm = kind == "batch_norm"
    theirs = torch_models.mlp(4, CLASSES, module, 5, 2, norm)
    torch_models.randomize(theirs)
    return MLP(CLASSES, phi, 5, 2, batch_norm=norm), theirs, (4,)


def _loss(name: str) -> tuple[Any, nn.Module, float]:
    """(ours, PyTorch's, ours in units of PyTorch's)."""
    if name == "mse":
        return losses.mse, nn.MSELoss(), CLASSES / 2
    smoothing = {"cross_entropy": 0.0, "smoothed": 0.1}[name]
    ours = functools.partial(losses.cross_entropy, label_smoothing=smoothing)
    return ours, nn.CrossEntropyLoss(label_smoothing=smoothing), 1.0


def _order(model: nn.Module) -> np.ndarray:
    """(P,) the place of each of our parameters among PyTorch's: a model whose parameters are their places, converted."""
    places, start = copy.deepcopy(model), 0
    for parameter in places.parameters():
        parameter.data = torch.arange(start, start + parameter.numel(), dtype=torch.float64).reshape(parameter.shape)
        start += parameter.numel()
    return np.asarray(ravel_pytree(torch_models.variables(places)["params"])[0]).astype(int)
