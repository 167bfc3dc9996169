"""The networks against PyTorch's, and one real step of every method on them at full size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.losses import cross_entropy
from nmepkg.models.resnet import ResNet
from nmepkg.models.vit import ViT
from nmepkg.models.wide_resnet import WideResNet
from tests.cases import METHODS

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from tests.peers import torch_models  # noqa: E402

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def forget_programs() -> Iterator[None]:
    """Programs of large models take gigabytes, and no test uses another's."""
    yield
    jax.clear_caches()


def pair(name: str) -> tuple[nn.Module, Any, int]:
    """(ours, PyTorch's, side of an image)."""
    if name.startswith("WRN"):
        depth, width = map(int, name.split("-")[1:])
        return WideResNet(10, jax.nn.relu, depth, width), torch_models.WideResNet(10, depth, width), 32
    blocks = {"ResNet-50": [3, 4, 6, 3], "ResNet-17": [1, 2, 1, 1]}[name]
    theirs = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, blocks)
    return ResNet(1000, jax.nn.relu, blocks), theirs, 64


def images(side: int, batch: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(batch, side, side, 3)).astype(np.float32)


def assert_close(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    """Relative to the largest number expected."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("name", ["WRN-10-1", "WRN-16-4", "WRN-28-10", "ResNet-50"])
def test_forward_pass(name: str) -> None:
    """Logits in both modes, and running averages after a pass."""
    ours, theirs, side = pair(name)
    torch_models.randomize(theirs)
    x, variables = images(side), torch_models.variables(theirs)
    counts = torch_models.count_examples(theirs)
    for train in (False, True):
        logits, updates = jax.jit(partial(ours.apply, train=train, mutable=["batch_stats"]))(variables, x)
        theirs.train(train)
        with torch.no_grad():
            assert_close(logits, theirs(torch.tensor(x.transpose(0, 3, 1, 2))))
    for norm, after in torch_models.variables(theirs)["batch_stats"].items():
        before, n = variables["batch_stats"][norm], counts[norm]
        # PyTorch keeps the variance with n − 1 in its denominator.
        unbiased = before["var"] * 0.9 + (updates["batch_stats"][norm]["var"] - before["var"] * 0.9) * n / (n - 1)
        assert_close(unbiased, after["var"])
        assert_close(updates["batch_stats"][norm]["mean"], after["mean"])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["WRN-10-1", "ResNet-17"])
def test_gradient(name: str) -> None:
    """Of the cross-entropy in training mode, in double precision, where BatchNorm of few examples loses no digits."""
    ours, theirs, side = pair(name)
    torch_models.randomize(theirs)
    theirs.double().train()
    x, labels = images(side).astype(np.float64), np.arange(4)
    variables = torch_models.variables(theirs)

    def loss(params: Any) -> jax.Array:
        logits, _ = ours.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return cross_entropy(logits, labels)

    gradient = jax.jit(jax.grad(loss))(variables["params"])
    logits = theirs(torch.tensor(x.transpose(0, 3, 1, 2)))
    torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
    expected = torch_models.variables(theirs, gradients=True)["params"]
    assert jax.tree.structure(gradient) == jax.tree.structure(expected)
    jax.tree.map(partial(assert_close, tolerance=1e-9), gradient, expected)


FULL_SIZE = {
    "WRN-28-10": (WideResNet(10, activations.gelu, 28, 10), 32),
    "ResNet-50": (ResNet(1000, activations.gelu), 64),
    "ViT-Ti/4": (ViT(10, activations.gelu, 4, 12, 192, 3), 32),
}


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if not entry.per_example])
@pytest.mark.parametrize("name", FULL_SIZE)
def test_a_step_of_every_method(name: str, method: str) -> None:
    """Its direction is finite, of every parameter's shape, and not zero."""
    model, side = FULL_SIZE[name]
    x, labels = images(side, batch=2), jnp.arange(2)
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), x)

    def logits_fn(params: Any, x: jax.Array) -> tuple[jax.Array, Any]:
        full = {**variables, "params": params}
        logits, updates = model.apply(full, x, train=True, mutable=["batch_stats"])
        return logits, updates.get("batch_stats", {})

    options = {key: schema.get("default", 1.5) for key, schema in METHODS[method].options.items()}
    step = jax.jit(partial(METHODS[method].load()(**options), logits_fn, cross_entropy))
    update = step(variables["params"], (x, labels), jax.random.key(1), 1e-4)
    leaves = jax.tree.leaves(update.direction)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)
    assert [leaf.shape for leaf in leaves] == [leaf.shape for leaf in jax.tree.leaves(variables["params"])]
    assert any(bool(leaf.any()) for leaf in leaves)


def test_the_transformer_that_is_timed_has_as_many_parameters_as_ours() -> None:
    from benchmarks.gpu import ours, theirs

    network = ours.network("ViT 6×384", None)
    shapes = jax.eval_shape(
        lambda: network.model.init(jax.random.key(0), jnp.zeros((1, *network.shape)), train=False)["params"]
    )
    model = theirs.MODELS["ViT 6×384"][0]()
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == sum(p.numel() for p in model.parameters())
