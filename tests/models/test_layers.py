"""Normalisation of features far from 0, against the same model in double precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import activations, curvature
from nmepkg.losses import cross_entropy
from nmepkg.models.layers import convolution
from nmepkg.models.mlp import MLP
from nmepkg.models.vit import ViT
from tests.interpreter import interpreted

MODELS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "batch": (MLP(3, activations.gelu, width=8, depth=1, batch_norm=True), (16, 5)),
    "layer": (ViT(3, activations.gelu, patch=2, depth=1, width=8, heads=2), (4, 4, 4, 1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_products_where_inputs_have_a_mean_of_100(name: str) -> None:
    model, shape = MODELS[name]
    rng = np.random.default_rng(0)
    x, y = 100 + rng.normal(size=shape), rng.integers(3, size=shape[0])
    variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), jnp.asarray(x, jnp.float32))
    v = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), variables["params"])

    def product(dtype: Any, way: Callable[..., Any]) -> np.ndarray:
        params, along, inputs = (
            jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), tree) for tree in (variables["params"], v, x)
        )

        def logits(p: Any) -> Any:
            return model.apply(variables | {"params": p}, inputs, train=True, mutable=["batch_stats"])[0]

        found = way(lambda p: curvature.hvp(logits, lambda z: cross_entropy(z, y), p, along))(params)
        return np.asarray(ravel_pytree(found)[0], float)

    with jax.enable_x64(True):
        exact = product(jnp.float64, interpreted)
    assert np.linalg.norm(product(jnp.float32, jax.jit) - exact) / np.linalg.norm(exact) < 5e-3


@pytest.mark.parametrize("stride", [1, 2])
def test_a_pointwise_convolution_is_the_same_on_an_accelerator(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of matrices on a CPU, a convolution on a GPU, where the compiler of jaxlib 0.11.2 aborts at the product."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 7, 7, 3)).astype(np.float32), rng.normal(size=(1, 1, 3, 5)).astype(np.float32)

    def taken(backend: str) -> tuple[set[str], Any]:
        monkeypatch.setattr(jax, "default_backend", lambda: backend)
        layer = convolution(5, 1, stride, kernel_init=jax.nn.initializers.zeros, dtype=None)
        apply = partial(layer.apply, {"params": {"kernel": kernel}})
        return {str(equation.primitive) for equation in jax.make_jaxpr(apply)(x).eqns}, jax.jit(apply)(x)

    (on_cpu, expected), (on_gpu, found) = taken("cpu"), taken("gpu")
    assert "dot_general" in on_cpu
    assert "conv_general_dilated" not in on_cpu
    assert "conv_general_dilated" in on_gpu
    np.testing.assert_allclose(
        expected, np.einsum("bhwi,io->bhwo", x[:, ::stride, ::stride], kernel[0, 0]), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
