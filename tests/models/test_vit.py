"""The vision transformer: parameters, an independent one in NumPy, and products of second order through attention."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import activations
from nmepkg.models.vit import ViT
from nmepkg.registry import MODELS
from tests.models import images

TINY = partial(ViT, 3, patch=2, depth=2, width=4, heads=2, mlp_ratio=2)


def test_parameters() -> None:
    """Patches, positions, layers and head; with 1000 classes ViT-S/16 has 22.0 million (Steiner et al. 2022)."""
    patch, depth, width, side, classes = 16, 12, 384, 224, 1000
    attention = 4 * (width * width + width)
    dense = 2 * 4 * width * width + 5 * width
    tokens = patch * patch * 3 * width + width + (side // patch) ** 2 * width
    expected = tokens + depth * (attention + dense + 4 * width) + 2 * width + width * classes + classes
    model = ViT(classes, jax.nn.gelu, patch, depth, width, 6)
    assert images.count(model, side) == expected
    assert round(expected / 1e6, 1) == 22.0
    assert MODELS["vit"].options["mlp_ratio"]["default"] == model.mlp_ratio


def test_what_the_activation_sees() -> None:
    """The hidden units of each token, and nothing else."""
    assert images.seen_by_activation(TINY, 8) == [(16, 8), (16, 8)]


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="patches of 2 do not divide images of 7×7"):
        images.count(TINY(jnp.tanh), 7)
    with pytest.raises(ValueError, match="patches of 2 do not divide sequences of 7"):
        TINY(jnp.tanh).init(jax.random.key(0), jnp.zeros((1, 7)), train=False)
    with pytest.raises(ValueError, match="3 heads of attention do not divide a width of 4"):
        images.count(ViT(3, jnp.tanh, 2, 1, 4, 3), 8)


@pytest.mark.parametrize("sequences", [False, True])
def test_forward_pass_against_numpy(sequences: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32) if sequences else images.inputs(6, batch=3)
    model = TINY(jnp.tanh)
    variables = images.random_variables(model, x)
    logits, _ = images.apply(model, variables, x, False)

    layers = images.Layers(variables, False)
    params = layers.weights["params"]

    def norm(h: np.ndarray) -> np.ndarray:
        layer = params[layers.next("LayerNorm")]
        centred = h - h.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * layer["scale"] + layer["bias"]

    def attention(h: np.ndarray) -> np.ndarray:
        layer = params[layers.next("MultiHeadDotProductAttention")]
        q, k, v = (
            np.einsum("btd,dhe->bhte", h, layer[name]["kernel"]) + layer[name]["bias"][:, None]
            for name in ("query", "key", "value")
        )
        weights = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
        mixed = weights / weights.sum(-1, keepdims=True) @ v
        return np.einsum("bhte,hed->btd", mixed, layer["out"]["kernel"]) + layer["out"]["bias"]

    # Tokens row by row, from kernels that see a patch each.
    rows = x.reshape(3, 4, 2) if sequences else x.reshape(3, 3, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5)
    patches = rows.reshape(3, 4 if sequences else 9, -1)
    h = patches @ params["Conv_0"]["kernel"].reshape(-1, 4) + params["Conv_0"]["bias"] + params["position"]
    for _ in range(2):
        h = h + attention(norm(h))
        h = h + layers.dense(np.tanh(layers.dense(norm(h))))
    expected = layers.dense(norm(h).mean(1))
    assert layers.all_taken()
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def test_modes_are_the_same_and_examples_do_not_mix() -> None:
    x = images.inputs(8)
    model = TINY(jnp.tanh)
    variables = images.random_variables(model, x)
    (whole, averages), (trained, _) = (images.apply(model, variables, x, train) for train in (False, True))
    assert not averages
    np.testing.assert_array_equal(trained, whole)
    np.testing.assert_allclose(images.apply(model, variables, x[1:3], True)[0], whole[1:3], atol=1e-5)


def test_activations() -> None:
    images.check_activations(TINY, 8, calls=2)


def test_bfloat16() -> None:
    images.check_bfloat16(TINY, 8)


@pytest.mark.usefixtures("x64")
def test_derivatives() -> None:
    """LayerNorm and attention have second derivatives of their own."""
    images.check_derivatives(ViT(3, activations.gelu, 2, 1, 4, 2), 4)
