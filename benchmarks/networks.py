"""The networks that benchmarks time, with random data. It imports JAX, which reads the process's variables then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from nmepkg import activations, losses
from nmepkg.models.cnn import CNN
from nmepkg.models.mlp import MLP
from nmepkg.models.resnet1d import ResNet1D
from nmepkg.models.vit import ViT
from nmepkg.models.wide_resnet import WideResNet

CLASSES = 10
SEQUENCE, SMALL, LARGE = (40,), (28, 28, 1), (32, 32, 3)


class Network(NamedTuple):
    """A model, the shape of an example, and how many a step takes."""

    model: nn.Module
    shape: tuple[int, ...]
    batch: int = 128


class Problem(NamedTuple):
    """What a step is taken of.

    Attributes:
      apply: (params, inputs) -> logits, running averages; in training mode.
      batch: inputs and labels.
    """

    apply: Callable[[Any, jax.Array], tuple[jax.Array, Any]]
    params: Any
    batch: tuple[jax.Array, jax.Array]


def mlp(depth: int) -> Network:
    """Of 128 units a layer."""
    return Network(MLP(CLASSES, activations.gelu, 128, depth), SEQUENCE)


NETWORKS = {
    "MLP 3×128": mlp(3),
    "ResNet1D 8": Network(ResNet1D(CLASSES, activations.gelu, 8, (1, 1, 1)), SEQUENCE),
    "CNN, 28×28": Network(CNN(CLASSES, activations.gelu, (16, 32), 128), SMALL),
    "CNN wide, 28×28": Network(CNN(CLASSES, activations.gelu, (32, 64, 64), 128), SMALL),
    "WRN-16-1": Network(WideResNet(CLASSES, activations.gelu, 16, 1), LARGE, 64),
    "ViT, patch 4": Network(ViT(CLASSES, activations.gelu, 4, 3, 32, 2), SMALL),
}


def problem(network: Network) -> Problem:
    """A network at its initialisation, with a batch of Gaussian inputs and uniform labels."""
    key = jax.random.key(0)
    inputs = jax.random.normal(key, (network.batch, *network.shape))
    labels = jax.random.randint(key, (network.batch,), 0, CLASSES)
    variables = jax.jit(partial(network.model.init, train=False))(key, inputs)
    return Problem(applied(network.model, variables), variables["params"], (inputs, labels))


def applied(model: nn.Module, variables: Any) -> Callable[[Any, jax.Array], tuple[jax.Array, Any]]:
    """(params, inputs) -> logits, running averages; in training mode, from the running averages among ``variables``."""
    averages = variables.get("batch_stats", {})

    def apply(params: Any, inputs: jax.Array) -> tuple[jax.Array, Any]:
        full = {"params": params, "batch_stats": averages}
        logits, updates = model.apply(full, inputs, train=True, mutable=["batch_stats"])
        return logits, updates.get("batch_stats", {})

    return apply


def direction(given: Problem, method: Any) -> tuple[Any, tuple[Any, ...]]:
    """(jitted direction of a method, its arguments: parameters, batch, strength)."""

    def taken(params: Any, batch: Any, strength: Any) -> Any:
        return method(given.apply, losses.cross_entropy, params, batch, jax.random.key(0), strength).direction

    return jax.jit(taken), (given.params, given.batch, jax.numpy.asarray(0.1))
