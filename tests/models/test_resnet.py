"""The residual network with bottlenecks: sizes, initialisation, and an independent one in NumPy."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.models.resnet import ResNet
from nmepkg.registry import MODELS
from tests.models import images

TINY = partial(ResNet, 3, blocks=(1, 2), width=2)


@pytest.mark.parametrize(
    ("blocks", "parameters"), [((3, 4, 6, 3), 25_557_032), ((3, 4, 23, 3), 44_549_160), ((3, 8, 36, 3), 60_192_808)]
)
def test_parameters_of_torchvisions(blocks: tuple[int, ...], parameters: int) -> None:
    assert images.count(ResNet(1000, jax.nn.relu, blocks), 224) == parameters


def test_defaults_are_those_of_the_registry() -> None:
    options = MODELS["resnet"].options
    model = ResNet(1000, jax.nn.relu)
    assert options["blocks"]["default"] == list(model.blocks)
    assert options["width"]["default"] == model.width


def test_strides_and_channels() -> None:
    """The stride of a stage is on its first 3×3 convolution: the 1×1 before it still sees the whole image."""
    seen = images.seen_by_activation(TINY, 32)
    first = [(16, 16, 2), (8, 8, 2), (8, 8, 2), (8, 8, 8)]
    assert seen == [*first, (8, 8, 4), (4, 4, 4), (4, 4, 16), (4, 4, 4), (4, 4, 4), (4, 4, 16)]


def pooled(x: np.ndarray) -> np.ndarray:
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max((-1, -2))


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("side", [16, 19])
def test_forward_pass_against_numpy(side: int, train: bool) -> None:
    x = images.inputs(side)
    model = TINY(jnp.tanh)
    variables = images.random_variables(model, x)
    logits, averages = images.apply(model, variables, x, train)

    layers = images.Layers(variables, train)
    h = pooled(np.tanh(layers.norm(layers.conv(x, 7, 2))))
    for stage, block in [(0, 0), (1, 0), (1, 1)]:
        stride = 2 if stage == 1 and block == 0 else 1
        y = np.tanh(layers.norm(layers.conv(h, 1)))
        y = np.tanh(layers.norm(layers.conv(y, 3, stride)))
        y = layers.norm(layers.conv(y, 1))
        h = np.tanh(y + (layers.norm(layers.conv(h, 1, stride)) if block == 0 else h))
    expected = layers.dense(h.mean((1, 2)))
    assert layers.all_taken()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    if train:
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), averages, layers.running)


def test_blocks_start_as_their_shortcut() -> None:
    """The last scale of each is zero, so that what is in the bottlenecks changes nothing; others are one."""
    x = images.inputs(16)
    model = TINY(jnp.tanh)
    variables = images.initial(model, x)
    scales = [
        name for name, layer in variables["params"].items() if "scale" in layer and not np.asarray(layer["scale"]).any()
    ]
    assert len(scales) == 3  # one a block
    logits, _ = images.apply(model, variables, x, False)
    for name, layer in variables["params"].items():
        if "kernel" in layer and layer["kernel"].shape[:2] == (3, 3):
            variables["params"][name] = {"kernel": layer["kernel"] + 1}
    np.testing.assert_array_equal(images.apply(model, variables, x, False)[0], logits)

    layers = images.Layers(variables, False)
    h = pooled(np.tanh(layers.norm(layers.conv(x, 7, 2))))
    kernels = {name: layer["kernel"] for name, layer in layers.weights["params"].items() if name.startswith("Conv")}
    for name, stride in (("Conv_4", 1), ("Conv_8", 2)):
        h = np.tanh(images.convolve(h, kernels[name], stride, 0, 0) / np.sqrt(1 + 1e-5))
    h = np.tanh(h)  # the second block of the second stage
    np.testing.assert_allclose(logits, layers.dense(h.mean((1, 2))), atol=1e-6)


def test_kernels_start_he_normal_by_fan_out_and_the_head_small() -> None:
    """Variance 2 / fan-out of a convolution; 5 % for 2 000 draws and more."""
    model = ResNet(1000, jax.nn.relu, (1,), 16)
    params = images.initial(model, images.inputs(16))["params"]
    kernels = [layer["kernel"] for name, layer in params.items() if name.startswith("Conv")]
    large = [kernel for kernel in kernels if kernel.size > 2000]
    assert [kernel.shape for kernel in large] == [(7, 7, 3, 16), (3, 3, 16, 16)]
    for kernel in large:
        assert abs(kernel.std() / np.sqrt(2 / (kernel.shape[0] ** 2 * kernel.shape[-1])) - 1) < 0.05
    assert abs(params["Dense_0"]["kernel"].std() / 0.01 - 1) < 0.02
    assert not params["Dense_0"]["bias"].any()


def test_modes() -> None:
    images.check_modes(TINY(jnp.tanh), 16)


def test_activations() -> None:
    images.check_activations(TINY, 16, calls=1 + 3 * 3)


def test_bfloat16() -> None:
    images.check_bfloat16(TINY, 16)


@pytest.mark.usefixtures("x64")
def test_derivatives() -> None:
    """Those of the largest of nine numbers too."""
    images.check_derivatives(ResNet(3, activations.gelu, (2,), 2), 8)
