"""The learning rate and the chain of clipping, optimiser and decay against plain Python and NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nmepkg.registry import MODELS, OPTIMIZERS
from nmepkg.specs import recipe
from nmepkg.training.optimizer import (
    Hyperparameters,
    clip_by_norm,
    decayed,
    hyperparameters,
    learning_rate,
    transformation,
)
from tests.training.recurrences import RECURRENCES
from tests.training.runs import make_spec

SMALL: dict[str, dict[str, Any]] = {
    name: dict(entry.small) | ({"patch": 4} if name == "vit" else {}) | ({"batch_norm": True} if name == "mlp" else {})
    for name, entry in MODELS.items()
}


def hyper(**changes: Any) -> Hyperparameters:
    values: dict[str, Any] = {
        "strength": 0.0,
        "beta": 1.0,
        "learning_rate": 0.3,
        "weight_decay": 0.02,
        "clip_norm": 0.7,
        "warmup_steps": 4.0,
        "warmup_from": 0.0,
        "total_steps": 12.0,
        "options": {"momentum": 0.9},
    }
    return Hyperparameters(**(values | changes))


@pytest.mark.parametrize("begin", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(("warmup", "total"), [(4, 12), (0, 5), (1, 2), (9, 10)])
def test_learning_rate_is_that_of_optax(warmup: int, total: int, begin: float) -> None:
    """To the last step, where it is not yet 0, and beyond, where it is."""
    expected = optax.warmup_cosine_decay_schedule(begin * 0.3, 0.3, warmup, total)
    numbers = hyper(warmup_steps=np.float32(warmup), total_steps=np.float32(total), warmup_from=np.float32(begin))
    got = [float(learning_rate(jnp.int32(step), numbers)) for step in range(total + 3)]
    np.testing.assert_allclose(got, [expected(step) for step in range(total + 3)], rtol=1e-5, atol=1e-8)
    assert got[total - 1] > 0


def test_a_warm_up_may_begin_at_a_share_of_the_peak() -> None:
    """Goyal et al. go from η to kη: with k = 4, a quarter of the peak and 3/16 more after each of four steps."""
    got = [float(learning_rate(jnp.int32(step), hyper(warmup_from=0.25))) for step in range(5)]
    np.testing.assert_allclose(got, [0.3 * (0.25 + 0.75 * step / 4) for step in range(5)], rtol=1e-6)


def test_a_training_may_be_all_warm_up() -> None:
    got = [float(learning_rate(jnp.int32(step), hyper(total_steps=4.0))) for step in range(4)]
    np.testing.assert_allclose(got, [0.0, 0.075, 0.15, 0.225], rtol=1e-6)


def test_the_learning_rate_is_scaled_by_the_batch() -> None:
    """0.1 for 256 examples is 0.4 for 1024, and 0.1 where no reference is given."""
    numbers = [
        hyperparameters(recipe(make_spec(optimizer={"reference_batch_size": r}, training={"batch_size": 1024})), 5000)
        for r in (256, None)
    ]
    np.testing.assert_allclose([number.learning_rate for number in numbers], [0.4, 0.1], rtol=1e-6)


def test_decayed_parameters() -> None:
    params = {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3), "conv": jnp.ones((3, 1, 2)), "scale": jnp.ones(2)}
    assert all(decayed(params, "all").values())
    assert decayed(params, "kernels") == {"kernel": True, "bias": False, "conv": True, "scale": False}


def test_kernels_are_told_by_name() -> None:
    """Biases of attention and scales of several axes do not decay, nor do positions; kernels of one axis do."""
    params = {
        "Attention_0": {"query": {"kernel": jnp.ones((4, 2, 2)), "bias": jnp.ones((2, 2))}},
        "LayerNorm_0": {"scale": jnp.ones((3, 3)), "bias": jnp.ones((3, 3))},
        "position": jnp.ones((4, 4)),
        "gates": {"kernel": jnp.ones(3), "scale": jnp.ones((2, 2))},
        "embedding": jnp.ones((9, 4)),
    }
    assert decayed(params, "kernels") == {
        "Attention_0": {"query": {"kernel": True, "bias": False}},
        "LayerNorm_0": {"scale": False, "bias": False},
        "position": False,
        "gates": {"kernel": True, "scale": False},
        "embedding": True,
    }


@pytest.mark.parametrize("name", ["vit", "resnet1d", "wide_resnet", "mlp"])
def test_of_our_models_kernels_decay_and_nothing_else(name: str) -> None:
    model = MODELS[name].load()(classes=3, activation=jax.nn.gelu, **SMALL[name])
    shape = (1, 8, 8, 1) if MODELS[name].axes == 3 else (1, 8)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape), train=False))["params"]
    for path, decays in jax.tree_util.tree_leaves_with_path(decayed(params, "kernels")):
        assert decays == (path[-1].key == "kernel"), path


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e25, 2e38])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_clipping_of_tiny_and_huge_directions(size: float, dtype: Any) -> None:
    direction = {"a": jnp.asarray([3.0, 0.0], dtype) * (size / 4), "b": jnp.asarray([size], dtype)}
    got, _ = clip_by_norm(0.5).update(direction, optax.EmptyState())
    exact = np.array([0.75, 0, 1]) * size
    exact *= min(1, 0.5 / np.linalg.norm(exact))
    assert got["a"].dtype == dtype
    found = np.concatenate([np.asarray(got[name], float) for name in ("a", "b")])
    np.testing.assert_allclose(found, exact, rtol=1e-5 if dtype == jnp.float32 else 2e-2)


def test_clipping_in_float16_where_squares_overflow() -> None:
    direction = {"a": jnp.full((300, 300), 300.0, jnp.float16), "none": jnp.zeros((0, 2))}
    got, _ = clip_by_norm(1.0).update(direction, optax.EmptyState())
    np.testing.assert_allclose(np.asarray(got["a"], float), 1 / 300, rtol=1e-3)


def test_clipping_leaves_what_is_not_finite_to_see() -> None:
    got, _ = clip_by_norm(1.0).update({"a": jnp.asarray([1.0, jnp.nan])}, optax.EmptyState())
    assert np.isnan(got["a"]).any()


def test_all_but_normalisation_decays() -> None:
    norm = {"scale": jnp.ones(2), "bias": jnp.ones(2)}
    params = {"Dense_0": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "BatchNorm_0": norm, "LayerNorm_1": norm}
    found = decayed(params, "not_normalization")
    assert found["Dense_0"] == {"kernel": True, "bias": True}
    assert found["BatchNorm_0"] == found["LayerNorm_1"] == {"scale": False, "bias": False}


def schedule(step: int, peak: float, warmup: int, total: int) -> float:
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def reference(
    params: dict[str, np.ndarray],
    directions: list[dict[str, np.ndarray]],
    numbers: Hyperparameters,
    step_of: Callable[..., np.ndarray],
    which: str | None,
    clip: bool,
) -> dict[str, np.ndarray]:
    """Clip, the optimiser with its decay, step: by hand."""
    params = dict(params)
    memory: dict[str, dict[str, Any]] = {name: {} for name in params}
    for step, direction in enumerate(directions):
        length = math.sqrt(sum(float((d**2).sum()) for d in direction.values()))
        factor = min(1.0, numbers.clip_norm / length) if clip else 1.0
        rate = schedule(step, numbers.learning_rate, int(numbers.warmup_steps), int(numbers.total_steps))
        for name, theta in params.items():
            decays = which == "all" or (which == "kernels" and theta.ndim > 1)
            decay = numbers.weight_decay * theta if decays else 0.0
            params[name] = theta - rate * step_of(memory[name], factor * direction[name], decay, step + 1)
    return params


def trained(
    params: dict[str, np.ndarray],
    directions: list[dict[str, np.ndarray]],
    numbers: Hyperparameters,
    name: str,
    which: str | None,
    clip: bool,
    **switches: bool,
) -> dict[str, np.ndarray]:
    """The same by what trains."""
    make = partial(OPTIMIZERS[name].load(), **switches)
    chain = transformation(make, numbers, params, decayed_parameters=which, clip=clip)

    @jax.jit
    def update(theta: Any, memory: Any, direction: Any, step: Any) -> tuple[Any, Any]:
        descent, memory = chain.update(direction, memory, theta)
        rate = learning_rate(step, numbers)
        return jax.tree.map(lambda t, d: t - rate * d, theta, descent), memory

    theta, memory = params, chain.init(params)
    for step, direction in enumerate(directions):
        theta, memory = update(theta, memory, direction, jnp.asarray(step))
    return theta


_ADAM = {"b1": 0.8, "b2": 0.95, "eps": 0.01}
NUMBERS = {"sgd": {"momentum": 0.9}, "adam": _ADAM, "adamw": _ADAM}
SHAPES = {"kernel": (3, 2), "bias": (2,)}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "nesterov", "which", "clip"),
    list(product(NUMBERS, [False, True], ["all", "kernels", None], [False, True])),
)
def test_an_optimiser_against_numpy(name: str, nesterov: bool, which: str | None, clip: bool) -> None:
    """Six steps across the end of the warm-up; some directions are longer than the clipping norm, some are shorter.

    With ``which`` None the direction has its decay already, and nothing is added.
    """
    rng = np.random.default_rng(0)
    params = {leaf: rng.normal(size=shape) for leaf, shape in SHAPES.items()}
    directions = [
        {leaf: size * rng.normal(size=shape) for leaf, shape in SHAPES.items()} for size in (1, 0.05, 2, 0.1, 0.5, 0.01)
    ]
    numbers = hyper(options=NUMBERS[name])
    found = trained(params, directions, numbers, name, which, clip, nesterov=nesterov)
    by_hand = partial(RECURRENCES[name], nesterov=nesterov, **NUMBERS[name])
    expected = reference(params, directions, numbers, by_hand, which, clip)
    for leaf in SHAPES:
        np.testing.assert_allclose(found[leaf], expected[leaf], rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_decoupled_decay_is_a_product_where_nothing_else_moves() -> None:
    """Along directions of 0, θ Π (1 − lr(t) λ): neither moments nor ε have a part in it."""
    params = {"kernel": np.array([[3.0, -2.0]]), "bias": np.array([0.5])}
    nothing = [{leaf: np.zeros_like(theta) for leaf, theta in params.items()}] * 12
    numbers = hyper(options=NUMBERS["adamw"])
    found = trained(params, nothing, numbers, "adamw", "kernels", False, nesterov=False)
    shrunk = math.prod(1 - 0.02 * schedule(step, 0.3, 4, 12) for step in range(12))
    np.testing.assert_allclose(found["kernel"], shrunk * params["kernel"], rtol=1e-14)
    np.testing.assert_array_equal(found["bias"], params["bias"])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_along_one_direction_adam_takes_its_sign(name: str) -> None:
    """Of a constant direction both means are that direction and its square: steps of lr(t), whatever its size and the β."""
    params = {"kernel": np.zeros((1, 3))}
    constant = [{"kernel": np.array([[1e-5, -2.0, 1e5]])}] * 12
    numbers = hyper(options={"b1": 0.8, "b2": 0.95, "eps": 1e-20}, weight_decay=0.0)
    found = trained(params, constant, numbers, name, "all", False, nesterov=False)
    travelled = sum(schedule(step, 0.3, 4, 12) for step in range(12))
    np.testing.assert_allclose(found["kernel"], [[-travelled, travelled, -travelled]], rtol=1e-12)


def test_decay_within_the_loss_makes_adamw_adam() -> None:
    """The direction has its decay already, and nothing is added behind."""
    rng = np.random.default_rng(0)
    params = {leaf: rng.normal(size=shape).astype(np.float32) for leaf, shape in SHAPES.items()}
    directions = [{leaf: rng.normal(size=shape).astype(np.float32) for leaf, shape in SHAPES.items()}] * 3
    numbers = hyper(options=NUMBERS["adamw"])
    found = [trained(params, directions, numbers, name, None, True) for name in ("adam", "adamw")]
    jax.tree.map(np.testing.assert_array_equal, *found)
