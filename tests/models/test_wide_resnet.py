"""The wide residual network: sizes of the paper's table, and an independent one in NumPy."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.models.wide_resnet import WideResNet
from tests.models import images

SMALLEST = partial(WideResNet, 3, depth=10, width=1)


@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [(40, 1, 0.6), (40, 4, 8.9), (16, 8, 11.0), (22, 10, 26.8), (28, 10, 36.5), (28, 12, 52.5)],
)
def test_parameters_of_the_papers_table(depth: int, width: int, millions: float) -> None:
    assert round(images.count(WideResNet(10, jax.nn.relu, depth, width), 32) / 1e6, 1) == millions


def test_parameters_of_wrn_28_10() -> None:
    assert images.count(WideResNet(10, jax.nn.relu, 28, 10), 32) == 36_479_194


@pytest.mark.parametrize("depth", [4, 9, 12, 27])
def test_no_other_depths(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"6n \+ 4, not {depth}"):
        images.count(WideResNet(10, jax.nn.relu, depth, 1), 8)


@pytest.mark.parametrize(("side", "sides"), [(32, (32, 16, 8)), (7, (7, 4, 2))])
def test_strides_and_channels(side: int, sides: tuple[int, ...]) -> None:
    """The second and third stage halve the image, rounded up; the first activation of a block comes before its stride."""
    one, two, three = ((s, s) for s in sides)
    seen = images.seen_by_activation(partial(WideResNet, 3, depth=16, width=2), side)
    first = [(*one, 16), (*one, 32), (*one, 32), (*one, 32)]
    second = [(*one, 32), (*two, 64), (*two, 64), (*two, 64)]
    assert seen == [*first, *second, (*two, 64), (*three, 128), (*three, 128), (*three, 128), (*three, 128)]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("side", "depth", "width"), [(8, 10, 1), (7, 16, 2)])
def test_forward_pass_against_numpy(side: int, depth: int, width: int, train: bool) -> None:
    x = images.inputs(side)
    model = WideResNet(3, jnp.tanh, depth, width)
    variables = images.random_variables(model, x)
    logits, averages = images.apply(model, variables, x, train)

    layers = images.Layers(variables, train)
    h = layers.conv(x, 3)
    for stage in range(3):
        for block in range((depth - 4) // 6):
            y = np.tanh(layers.norm(h))
            stride = 2 if stage > 0 and block == 0 else 1
            if block == 0 and not (stage == 0 and width == 1):
                h = layers.conv(y, 1, stride)
            h = h + layers.conv(np.tanh(layers.norm(layers.conv(y, 3, stride))), 3)
            assert h.shape[-1] == 16 * width * 2**stage
    expected = layers.dense(np.tanh(layers.norm(h)).mean((1, 2)))
    assert layers.all_taken()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    if train:
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), averages, layers.running)


def test_modes() -> None:
    images.check_modes(SMALLEST(jnp.tanh), 8)


def test_activations() -> None:
    images.check_activations(SMALLEST, 8, calls=2 * 3 + 1)


def test_bfloat16() -> None:
    images.check_bfloat16(SMALLEST, 8)


@pytest.mark.usefixtures("x64")
def test_derivatives() -> None:
    images.check_derivatives(SMALLEST(activations.gelu), 4)


def test_kernels_start_he_normal() -> None:
    """Variance 2 / fan-in; 37 000 draws give its square root to 2 %."""
    params = images.initial(SMALLEST(jnp.tanh), images.inputs(8))["params"]
    kernel = max((layer["kernel"] for layer in params.values() if "kernel" in layer), key=lambda kernel: kernel.size)
    assert kernel.shape == (3, 3, 64, 64)
    assert abs(kernel.std() / np.sqrt(2 / (9 * 64)) - 1) < 0.02
