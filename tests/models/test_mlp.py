"""The multilayer perceptron: shapes, parameters and modes."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg.models.mlp import MLP
from nmepkg.registry import ACTIVATIONS
from nmepkg.specs import Activation
from nmepkg.training import build

INPUTS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def parameters(variables: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(("batch_norm", "layer_norm"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_shape_and_parameter_count(depth: int, batch_norm: bool, layer_norm: bool) -> None:
    width, classes, features = 4, 3, INPUTS.shape[1]
    model = MLP(classes, jnp.tanh, width, depth, batch_norm, layer_norm)
    variables = model.init(jax.random.key(0), INPUTS, train=False)
    logits = model.apply(variables, INPUTS, train=False)

    sizes = [features] + [width] * depth + [classes]
    dense = sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes))
    assert logits.shape == (len(INPUTS), classes)
    assert parameters(variables) == dense + 2 * width * depth * (batch_norm or layer_norm)
    assert ("batch_stats" in variables) == (batch_norm and depth > 0)


def test_depth_0_is_linear() -> None:
    """z(x) = xW + b, whatever the activation."""
    model = MLP(3, jnp.tanh, 4, 0)
    variables = model.init(jax.random.key(0), INPUTS, train=False)
    head = variables["params"]["Dense_0"]
    expected = INPUTS @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    np.testing.assert_allclose(model.apply(variables, INPUTS, train=False), expected, atol=1e-6)


def test_inputs_of_more_axes_are_flattened() -> None:
    model = MLP(3, jnp.tanh, 4, 1)
    images = INPUTS[:, :4].reshape(-1, 2, 2)
    variables = model.init(jax.random.key(0), images, train=False)
    flat = model.apply(variables, images.reshape(-1, 4), train=False)
    np.testing.assert_array_equal(model.apply(variables, images, train=False), flat)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_forward_pass_against_numpy(train: bool, batch_norm: bool) -> None:
    """Dense → norm → φ, twice, and the head; ε = 1e-5 and momentum 0.9 of the running averages."""
    model = MLP(3, jnp.tanh, 4, 2, batch_norm)
    variables = model.init(jax.random.key(1), INPUTS, train=False)
    if batch_norm:  # averages that are not those of a fresh model
        variables["batch_stats"] = jax.tree.map(lambda x: x + 0.5, variables["batch_stats"])
    logits, updates = model.apply(variables, INPUTS, train=train, mutable=["batch_stats"])

    weights = jax.tree.map(lambda x: np.asarray(x, np.float64), variables)
    x = INPUTS.astype(np.float64)
    for layer in range(2):
        dense = weights["params"][f"Dense_{layer}"]
        x = x @ dense["kernel"] + dense["bias"]
        if batch_norm:
            scale, running = weights["params"][f"BatchNorm_{layer}"], weights["batch_stats"][f"BatchNorm_{layer}"]
            mean, var = (x.mean(0), x.var(0)) if train else (running["mean"], running["var"])
            if train:
                new = updates["batch_stats"][f"BatchNorm_{layer}"]
                np.testing.assert_allclose(new["mean"], 0.9 * running["mean"] + 0.1 * mean, atol=1e-6)
                np.testing.assert_allclose(new["var"], 0.9 * running["var"] + 0.1 * var, atol=1e-6)
            x = (x - mean) / np.sqrt(var + 1e-5) * scale["scale"] + scale["bias"]
        x = np.tanh(x)
    head = weights["params"]["Dense_2"]
    np.testing.assert_allclose(logits, x @ head["kernel"] + head["bias"], atol=1e-5)


@pytest.mark.parametrize("train", [False, True])
def test_layer_norm_against_numpy(train: bool) -> None:
    """Of the units of each example, with ε = 1e-6, in both modes."""
    model = MLP(3, jnp.tanh, 4, 2, layer_norm=True)
    params = model.init(jax.random.key(1), INPUTS, train=False)["params"]
    shift = np.linspace(0.5, 1.5, 4, dtype=np.float32)  # scales and biases that are not those of a fresh model
    params = {name: jax.tree.map(lambda x: x + shift, p) if "Norm" in name else p for name, p in params.items()}
    logits = model.apply({"params": params}, INPUTS, train=train)

    weights = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    x = INPUTS.astype(np.float64)
    for layer in range(2):
        dense, norm = weights[f"Dense_{layer}"], weights[f"LayerNorm_{layer}"]
        x = x @ dense["kernel"] + dense["bias"]
        mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        x = np.tanh((x - mean) / np.sqrt(var + 1e-6) * norm["scale"] + norm["bias"])
    np.testing.assert_allclose(logits, x @ weights["Dense_2"]["kernel"] + weights["Dense_2"]["bias"], atol=1e-5)


def test_two_kinds_of_normalisation_are_refused() -> None:
    with pytest.raises(ValueError, match="BatchNorm or LayerNorm, not both"):
        MLP(3, jnp.tanh, 4, 1, True, True).init(jax.random.key(0), INPUTS, train=False)


def test_evaluation_mode_is_per_example_and_training_mode_is_not() -> None:
    model = MLP(3, jnp.tanh, 4, 1, True)
    variables = model.init(jax.random.key(0), INPUTS, train=False)
    whole = model.apply(variables, INPUTS, train=False)
    np.testing.assert_allclose(model.apply(variables, INPUTS[2:4], train=False), whole[2:4], atol=1e-6)

    trained, _ = model.apply(variables, INPUTS, train=True, mutable=["batch_stats"])
    part, _ = model.apply(variables, INPUTS[2:4], train=True, mutable=["batch_stats"])
    assert np.abs(trained - whole).max() > 0.01
    assert np.abs(part - trained[2:4]).max() > 0.01


def test_every_activation_of_the_registry_is_applied() -> None:
    """At width 1 and unit weights the logits are φ(x); no two entries give the same function."""
    x = jnp.linspace(-2, 2, 9)[:, None]
    weights = {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}
    outputs = []
    for name, entry in ACTIVATIONS.items():
        options = {key: schema.get("default", 3.0) for key, schema in entry.options.items()}
        activation = build.activation(Activation(name, options))
        model = MLP(1, activation, 1, 1)
        logits = model.apply({"params": {"Dense_0": weights, "Dense_1": weights}}, x, train=False)
        np.testing.assert_allclose(logits, entry.load()(x, **options), atol=1e-6, err_msg=name)
        assert not any(np.allclose(logits, other, atol=1e-6) for other in outputs), name
        outputs.append(logits)


def test_kernels_start_he_normal_and_biases_at_zero() -> None:
    """Variance 2 / fan-in; 40 000 draws give its square root to 2 %."""
    model = MLP(3, jnp.tanh, 200, 2)
    params = model.init(jax.random.key(0), INPUTS, train=False)["params"]
    kernel = np.asarray(params["Dense_1"]["kernel"])
    assert abs(kernel.std() / np.sqrt(2 / 200) - 1) < 0.02
    assert abs(kernel.mean()) < 1e-3
    assert all(not np.any(layer["bias"]) for layer in params.values())
