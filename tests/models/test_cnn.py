"""The small convolutional network: parameters, an independent one in NumPy, and derivatives."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.models.cnn import CNN
from tests.models import images

TINY = partial(CNN, 3, channels=[2, 3], width=4)


def test_parameters() -> None:
    """That of the benchmarks, on 28×28 images of 3 channels."""
    expected = (27 * 16 + 16) + (9 * 16 * 32 + 32) + (7 * 7 * 32 * 128 + 128) + (128 * 10 + 10)
    assert images.count(CNN(10, jax.nn.gelu, (16, 32), 128), 28) == expected


@pytest.mark.parametrize(("side", "sides"), [(8, (4, 2)), (7, (4, 2)), (1, (1, 1))])
def test_strides_and_channels(side: int, sides: tuple[int, int]) -> None:
    one, two = sides
    assert images.seen_by_activation(TINY, side) == [(one, one, 2), (two, two, 3), (4,)]


def test_forward_pass_against_numpy() -> None:
    x = images.inputs(8)
    model = TINY(jnp.tanh)
    variables = images.random_variables(model, x)
    layers = images.Layers(variables, False)
    h = x
    for i in range(2):
        layer = layers.weights["params"][f"Conv_{i}"]
        h = np.tanh(
            images.convolve(h, layer["kernel"], 2, 0, 1) + layer["bias"]
        )  # an even image is padded behind alone
    h = np.tanh(layers.dense(h.reshape(len(x), -1)))
    np.testing.assert_allclose(model.apply(variables, x, train=False), layers.dense(h), atol=1e-5)


def test_modes_are_the_same() -> None:
    x = images.inputs(8)
    model = TINY(jnp.tanh)
    variables = images.random_variables(model, x)
    (evaluated, averages), (trained, _) = (images.apply(model, variables, x, train) for train in (False, True))
    assert not averages
    np.testing.assert_array_equal(trained, evaluated)


def test_activations() -> None:
    images.check_activations(TINY, 8, calls=3)


def test_bfloat16() -> None:
    images.check_bfloat16(TINY, 8)


@pytest.mark.usefixtures("x64")
def test_derivatives() -> None:
    images.check_derivatives(TINY(activations.gelu), 8)
