"""What the tests of the image models share: random variables, layers in NumPy, and checks that hold for every model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nmepkg import curvature
from nmepkg.losses import cross_entropy
from nmepkg.registry import ACTIVATIONS
from nmepkg.specs import Activation
from nmepkg.training import build
from tests import cases
from tests.interpreter import interpreted

Make = Callable[..., nn.Module]  # activation, dtype=None -> model


def inputs(side: int, batch: int = 4, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(side).normal(size=(batch, side, side, channels)).astype(np.float32)


def shapes(model: nn.Module, x: Any) -> Any:
    """Shapes of the logits and of all variables; nothing is computed."""
    return jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))


def count(model: nn.Module, side: int) -> int:
    """Number of parameters."""
    _, variables = shapes(model, jnp.zeros((1, side, side, 3)))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def random_variables(model: nn.Module, x: np.ndarray) -> dict[str, Any]:
    """Variables with no default left: scales, biases and running averages are drawn too."""
    rng = np.random.default_rng(7)
    _, found = shapes(model, x)

    def draw(leaf: Any) -> np.ndarray:
        fan_in = max(1, leaf.size // leaf.shape[-1]) if leaf.ndim > 1 else 4
        return (rng.normal(size=leaf.shape) / np.sqrt(fan_in) + 0.5 * (leaf.ndim == 1)).astype(np.float32)

    def draw_average(leaf: Any) -> np.ndarray:
        return rng.uniform(0.2, 1.5, leaf.shape).astype(np.float32)

    return {
        "params": jax.tree.map(draw, found["params"]),
        "batch_stats": jax.tree.map(draw_average, found.get("batch_stats", {})),
    }


def initial(model: nn.Module, x: np.ndarray) -> dict[str, Any]:
    """Variables as a training starts with them."""
    return jax.jit(partial(model.init, train=False))(jax.random.key(0), x)


def apply(model: nn.Module, variables: dict[str, Any], x: np.ndarray, train: bool) -> tuple[np.ndarray, Any]:
    """(logits, running averages), compiled whole: by itself each operation would be."""
    logits, updates = jax.jit(partial(model.apply, train=train, mutable=["batch_stats"]))(variables, x)
    return np.asarray(logits), updates.get("batch_stats", {})


def seen_by_activation(make: Make, side: int) -> list[tuple[int, ...]]:
    """Shapes, without the batch, of what the activation is given, call by call."""
    seen: list[tuple[int, ...]] = []

    def activation(x: jax.Array) -> jax.Array:
        seen.append(x.shape[1:])
        return x

    shapes(make(activation), jnp.zeros((1, side, side, 3)))
    return seen


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int, before: int, after: int) -> np.ndarray:
    """Cross-correlation of (B, H, W, I) with (K, K, I, O), after zeros ``before`` and ``after`` every row and column."""
    size = len(kernel)
    x = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]
    return np.einsum("bhwikl,klio->bhwo", windows, kernel)


class Layers:
    """A model's layers in double precision, taken in the order in which Flax numbers them."""

    def __init__(self, variables: dict[str, Any], train: bool) -> None:
        self.weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        self.train = train
        self.running: dict[str, Any] = {}
        self.taken: dict[str, Iterator[str]] = {}

    def next(self, kind: str) -> str:
        return f"{kind}_{next(self.taken.setdefault(kind, iter(range(999))))}"

    def conv(self, x: np.ndarray, size: int, stride: int = 1) -> np.ndarray:
        layer = self.weights["params"][self.next("Conv")]
        assert set(layer) == {"kernel"}
        assert layer["kernel"].shape[:2] == (size, size)
        return convolve(x, layer["kernel"], stride, size // 2, size // 2)

    def norm(self, x: np.ndarray) -> np.ndarray:
        name = self.next("BatchNorm")
        affine, running = self.weights["params"][name], self.weights["batch_stats"][name]
        mean, var = running["mean"], running["var"]
        if self.train:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            self.running[name] = {key: 0.9 * running[key] + 0.1 * new for key, new in (("mean", mean), ("var", var))}
        return (x - mean) / np.sqrt(var + 1e-5) * affine["scale"] + affine["bias"]

    def dense(self, x: np.ndarray) -> np.ndarray:
        layer = self.weights["params"][self.next("Dense")]
        return x @ layer["kernel"] + layer["bias"]

    def all_taken(self) -> bool:
        return all(not self.weights["params"].keys() & {self.next(kind)} for kind in list(self.taken))


def check_modes(model: nn.Module, side: int) -> None:
    """With BatchNorm, evaluation mode is per example and training mode is not."""
    x = inputs(side, batch=6)
    variables = random_variables(model, x)
    (whole, _), (part, _) = (apply(model, variables, batch, False) for batch in (x, x[2:4]))
    np.testing.assert_allclose(part, whole[2:4], atol=1e-5 * np.abs(whole).max())

    (trained, _), (part, _) = (apply(model, variables, batch, True) for batch in (x, x[2:4]))
    assert np.abs(trained - whole).max() > 0.01
    assert np.abs(part - trained[2:4]).max() > 0.01


def check_activations(make: Make, side: int, calls: int) -> None:
    """Every activation of the registry is called so many times; logits are finite and no two activations give the same."""
    x = inputs(side, batch=2)
    variables = random_variables(make(jnp.tanh), x)
    outputs: list[np.ndarray] = []
    for name, entry in ACTIVATIONS.items():
        options = {key: schema.get("default", 3.0) for key, schema in entry.options.items()}
        activation = build.activation(Activation(name, options))
        called = []

        def counting(x: jax.Array, activation: Any = activation, called: list[int] = called) -> jax.Array:
            called.append(1)
            return activation(x)

        logits, _ = apply(make(counting), variables, x, False)
        assert len(called) == calls, name
        assert np.isfinite(logits).all(), name
        assert not any(np.allclose(logits, other, atol=1e-6) for other in outputs), name
        outputs.append(logits)


def check_derivatives(model: nn.Module, side: int) -> None:
    """Products with H, G and N, and the gradient of vᵀH v, in double precision, against forward mode and differences.

    For θ + Uᵀa with a few random rows U the Hessian in a is U H Uᵀ, and so are its parts and derivatives; a matrix so small
    is had from the Taylor coefficients of the logits in a.
    """
    x = inputs(side, batch=3).astype(np.float64)
    variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), random_variables(model, x))
    theta, unravel = jax.flatten_util.ravel_pytree(variables["params"])
    rows = np.random.default_rng(3).normal(size=(2, theta.size)) / 10
    labels = np.arange(3)

    def logits(params: Any) -> jax.Array:
        return model.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])[0]

    def loss(z: jax.Array) -> jax.Array:
        return cross_entropy(z, labels)

    @interpreted
    def products(row: jax.Array) -> list[jax.Array]:
        v = unravel(row)

        def form(params: Any) -> tuple[jax.Array, Any]:
            hv = curvature.hvp(logits, loss, params, v)
            return cases.raveled(hv) @ row, hv

        third, hv = jax.grad(form, has_aux=True)(unravel(theta))
        parts = curvature.linearize(logits, loss, unravel(theta)).parts(v)
        return [rows @ cases.raveled(tree) for tree in (hv, *parts, third)]

    @interpreted
    def matrices(a: jax.Array) -> tuple[jax.Array, jax.Array]:
        """U G Uᵀ and U N Uᵀ at θ + Uᵀa."""

        def along(a: jax.Array) -> jax.Array:
            return logits(unravel(theta + a @ rows))

        def jacobian(a: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            z, j = jax.vmap(lambda e: jax.jvp(along, (a,), (e,)), out_axes=(None, -1))(jnp.eye(2))
            return j, (z, j)

        hessian, (z, j) = jax.jacfwd(jacobian, has_aux=True)(a)
        g = jnp.einsum("bcde,bci,dej", jax.hessian(loss)(z), j, j)
        return g, jnp.einsum("bc,bcij", jax.grad(loss)(z), hessian)

    g, n = matrices(jnp.zeros(2))
    close = {"rtol": 1e-8, "atol": 1e-9 * float(jnp.abs(g + n).max())}
    assert np.abs(n).max() > 1e-3 * np.abs(g + n).max()
    for i, row in enumerate(rows):
        h_v, g_v, n_v, third = products(row)
        for found, wanted in ((h_v, g[i] + n[i]), (g_v, g[i]), (n_v, n[i]), (h_v, g_v + n_v)):
            np.testing.assert_allclose(found, wanted, **close)
        ahead, behind = (sum(matrices(jnp.asarray([step, 0.0])))[i, i] for step in (1e-4, -1e-4))
        np.testing.assert_allclose(third[0], (ahead - behind) / 2e-4, rtol=1e-4, atol=1e3 * close["atol"])


def check_bfloat16(make: Make, side: int) -> None:
    """Parameters and running averages stay float32; logits are float32, near those of float32 and not the same."""
    x = inputs(side, batch=8)
    exact, rough = make(jnp.tanh), make(jnp.tanh, dtype=jnp.bfloat16)
    variables = random_variables(exact, x)
    logits, averages = apply(rough, variables, x, True)
    expected, _ = apply(exact, variables, x, True)
    _, found = shapes(rough, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(averages)} <= {jnp.dtype("float32")}
    assert logits.dtype == jnp.float32
    error = np.abs(logits - expected).max() / np.abs(expected).max()
    assert 1e-5 < error < 0.1
