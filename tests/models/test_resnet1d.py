"""The residual network against an independent one in NumPy, and every method's BatchNorm policy on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.losses import cross_entropy
from nmepkg.models.resnet1d import ResNet1D
from nmepkg.registry import ACTIVATIONS
from nmepkg.specs import Activation
from nmepkg.training import build
from tests.cases import METHODS
from tests.interpreter import interpreted


def inputs(length: int, batch: int = 4) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(batch, length)).astype(np.float32)


def random_variables(model: ResNet1D, x: np.ndarray) -> dict[str, Any]:
    """Variables with no default left: scales, biases and running averages are drawn too."""
    rng = np.random.default_rng(7)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    return {
        "params": jax.tree.map(lambda leaf: 0.7 * rng.normal(size=leaf.shape).astype(np.float32), shapes["params"]),
        "batch_stats": jax.tree.map(
            lambda leaf: rng.uniform(0.2, 1.5, leaf.shape).astype(np.float32), shapes["batch_stats"]
        ),
    }


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Cross-correlation of (B, L, I) with (K, I, O), padded so that ⌈L / stride⌉ positions come out."""
    batch, length, _ = x.shape
    size, _, channels = kernel.shape
    positions = -(-length // stride)
    padding = max((positions - 1) * stride + size - length, 0)
    padded = np.zeros((batch, length + padding, x.shape[2]))
    padded[:, padding // 2 : padding // 2 + length] = x
    result = np.zeros((batch, positions, channels))
    for position in range(positions):
        for k in range(size):
            result[:, position] += padded[:, position * stride + k] @ kernel[k]
    return result


class Reference:
    """The network of the docstring in double precision, its weights taken in the order in which Flax numbers them."""

    def __init__(self, variables: dict[str, Any], phi: Callable[[np.ndarray], np.ndarray], train: bool) -> None:
        self.weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        self.phi, self.train = phi, train
        self.convs, self.norms = self._numbered("Conv"), self._numbered("BatchNorm")
        self.running: dict[str, Any] = {}

    def _numbered(self, kind: str) -> Iterator[str]:
        return iter(
            sorted((name for name in self.weights["params"] if name.startswith(kind)), key=lambda n: (len(n), n))
        )

    def conv(self, x: np.ndarray, size: int, stride: int = 1) -> np.ndarray:
        layer = self.weights["params"][next(self.convs)]
        assert set(layer) == {"kernel"}
        assert len(layer["kernel"]) == size
        return convolve(x, layer["kernel"], stride)

    def norm(self, x: np.ndarray) -> np.ndarray:
        name = next(self.norms)
        affine, running = self.weights["params"][name], self.weights["batch_stats"][name]
        mean, var = running["mean"], running["var"]
        if self.train:
            mean, var = x.mean((0, 1)), x.var((0, 1))
            self.running[name] = {
                "mean": 0.9 * running["mean"] + 0.1 * mean,
                "var": 0.9 * running["var"] + 0.1 * var,
            }
        return (x - mean) / np.sqrt(var + 1e-5) * affine["scale"] + affine["bias"]

    def __call__(self, x: np.ndarray, width: int, blocks: tuple[int, ...], size: int) -> np.ndarray:
        h = self.conv(x[..., None].astype(np.float64), size)
        for stage, count in enumerate(blocks):
            for block in range(count):
                first = stage > 0 and block == 0
                y = self.phi(self.norm(h))
                shortcut = self.conv(y, 1, 2) if first else h
                y = self.conv(y, size, 2 if first else 1)
                assert y.shape[-1] == width * 2**stage
                h = shortcut + self.conv(self.phi(self.norm(y)), size)
        features = self.phi(self.norm(h)).mean(axis=1)
        assert next(self.convs, None) is None
        assert next(self.norms, None) is None
        head = self.weights["params"]["Dense_0"]
        return features @ head["kernel"] + head["bias"]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("length", "size", "blocks"), [(8, 3, (1, 1, 1)), (7, 4, (2, 1)), (5, 1, (1, 2))])
def test_forward_pass_against_numpy(length: int, size: int, blocks: tuple[int, ...], train: bool) -> None:
    x, width = inputs(length), 2
    model = ResNet1D(3, jnp.tanh, width, blocks, size)
    variables = random_variables(model, x)
    logits, updates = jax.jit(partial(model.apply, train=train, mutable=["batch_stats"]))(variables, x)
    reference = Reference(variables, np.tanh, train)
    np.testing.assert_allclose(logits, reference(x, width, blocks, size), atol=1e-5, rtol=1e-5)
    if train:
        jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), updates["batch_stats"], reference.running)


@pytest.mark.parametrize(("width", "blocks", "size"), [(2, (1,), 3), (3, (1, 1), 5), (2, (2, 1, 3), 3)])
def test_shape_and_parameter_count(width: int, blocks: tuple[int, ...], size: int) -> None:
    x, classes = inputs(40), 10
    model = ResNet1D(classes, jax.nn.relu, width, blocks, size)
    logits, variables = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))

    count, channels = size * width, width  # the first convolution
    for stage, number in enumerate(blocks):
        before, channels = channels, width * 2**stage
        count += 2 * before + size * before * channels + 2 * channels + size * channels**2  # its first block
        count += before * channels if stage else 0  # and shortcut
        count += (number - 1) * (4 * channels + 2 * size * channels**2)
    count += 2 * channels + channels * classes + classes
    assert logits.shape == (len(x), classes)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == count


@pytest.mark.parametrize(("length", "lengths"), [(40, [40, 20, 10]), (7, [7, 4, 2]), (1, [1, 1, 1])])
def test_strides_and_channels(length: int, lengths: list[int]) -> None:
    """Each stage but the first halves the positions, rounded up, and doubles the channels."""
    seen: list[tuple[int, ...]] = []

    def activation(x: jax.Array) -> jax.Array:
        seen.append(x.shape[1:])
        return x

    model = ResNet1D(3, activation, 2, (1, 1, 1))
    jax.eval_shape(lambda: model.init(jax.random.key(0), inputs(length), train=False))
    one, two, three = lengths
    # Two activations a block, the first of a stage before its stride, and one before the head.
    assert seen == [(one, 2), (one, 2), (one, 2), (two, 4), (two, 4), (three, 8), (three, 8)]


def test_channels_of_the_input_are_an_axis() -> None:
    x = inputs(6)
    model = ResNet1D(3, jnp.tanh, 2, (1,))
    variables = random_variables(model, x)
    expected = model.apply(variables, x, train=False)
    np.testing.assert_array_equal(model.apply(variables, x[..., None], train=False), expected)
    three = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((4, 6, 3)), train=False))
    assert three["params"]["Conv_0"]["kernel"].shape == (3, 3, 2)


def test_evaluation_mode_is_per_example_and_training_mode_is_not() -> None:
    x = inputs(8, batch=6)
    model = ResNet1D(3, jnp.tanh, 2, (1, 1))
    variables = random_variables(model, x)
    whole = model.apply(variables, x, train=False)
    np.testing.assert_allclose(model.apply(variables, x[2:4], train=False), whole[2:4], atol=1e-6)

    trained, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
    part, _ = model.apply(variables, x[2:4], train=True, mutable=["batch_stats"])
    assert np.abs(trained - whole).max() > 0.01
    assert np.abs(part - trained[2:4]).max() > 0.01


def test_any_activation_of_the_registry_works() -> None:
    """Logits are finite and no two activations give the same."""
    x = inputs(8)
    variables = random_variables(ResNet1D(3, jnp.tanh, 2, (1,)), x)
    outputs: list[np.ndarray] = []
    for name, entry in ACTIVATIONS.items():
        options = {key: schema.get("default", 3.0) for key, schema in entry.options.items()}
        activation = build.activation(Activation(name, options))
        logits = np.asarray(ResNet1D(3, activation, 2, (1,)).apply(variables, x, train=False))
        assert np.isfinite(logits).all(), name
        assert not any(np.allclose(logits, other, atol=1e-6) for other in outputs), name
        outputs.append(logits)


@pytest.fixture(scope="module")
def problem() -> tuple[Callable[..., Any], Callable[..., Any], dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """A residual network as the training step gives it to a method, compiled on a batch, its variables, and the batch."""
    x = inputs(8, batch=6)
    model = ResNet1D(3, jax.nn.gelu, 2, (1,))
    variables = random_variables(model, x)

    def logits_fn(params: Any, x: jax.Array) -> tuple[jax.Array, Any]:
        full = {"params": params, "batch_stats": variables["batch_stats"]}
        logits, updates = model.apply(full, x, train=True, mutable=["batch_stats"])
        return logits, updates["batch_stats"]

    return logits_fn, jax.jit(lambda params: logits_fn(params, x)), variables, (x, np.arange(6) % 3)


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if not entry.per_example])
def test_running_averages_are_those_of_the_clean_pass(name: str, problem: Any) -> None:
    """ρ is large, so that a pass at perturbed parameters would show in the averages, as the last assertion checks."""
    logits_fn, pass_at, variables, batch = problem
    params = variables["params"]
    options = {key: schema.get("default", 2.0) for key, schema in METHODS[name].options.items()}
    method = partial(METHODS[name].load()(**options), logits_fn, cross_entropy)
    update = interpreted(method)(params, batch, jax.random.key(0), 0.5)

    logits, clean = pass_at(params)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), update.state, clean)
    np.testing.assert_allclose(update.loss, cross_entropy(logits, batch[1]), rtol=1e-5)
    assert any(
        np.abs(new - old).max() > 0.01
        for new, old in zip(jax.tree.leaves(clean), jax.tree.leaves(variables["batch_stats"]), strict=True)
    )
    _, perturbed = pass_at(jax.tree.map(lambda x: x + 0.1, params))
    assert any(
        np.abs(new - old).max() > 1e-3
        for new, old in zip(jax.tree.leaves(perturbed), jax.tree.leaves(clean), strict=True)
    )
