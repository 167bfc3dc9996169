"""Against a forward pass in NumPy, dense Hessians, and what is known of piecewise linear networks."""

import json
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.special import erf

from nmepkg import specs
from nmepkg.errors import UserError
from nmepkg.landscape.compute import Problem, compute, make_problem
from tests.landscape.specs import RELU, beta_gelu, made, spec

POINTS = [(0, 0), (3, 11), (20, 20), (31, 7), (40, 40)]  # of the grid: (row, column)

SPECS = {
    "relu": spec(),
    "beta_gelu": spec(activation=beta_gelu(2.0)),
    "second layer, two outputs": spec(activation=beta_gelu(2.0), layer=2, weights=[[1, 0], [3, 0]], outputs=2),
    "one layer": spec(
        activation=beta_gelu(0.7), model={"name": "mlp", "width": 2, "depth": 1, "batch_norm": False}, inputs=2
    ),
    "ablated": spec(activation={**beta_gelu(2.0), "second_derivative": {"name": "zero"}}),
}


@cache
def _computed(content: str) -> dict[str, np.ndarray]:
    return compute(specs.landscape(json.loads(content)))


def computed(**changes: Any) -> dict[str, np.ndarray]:
    """The landscape of a spec with some changes, computed once."""
    return _computed(json.dumps(spec(**changes)))


@pytest.fixture(scope="module", params=SPECS)
def case(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return SPECS[request.param], computed(**SPECS[request.param])


@cache
def _problem(content: str) -> Problem:
    """That of a spec, in double precision."""
    return make_problem(specs.landscape(json.loads(content)))


def _params_at(chosen: dict[str, Any], params: Any, w1: float, w2: float) -> Any:
    params = jax.tree.map(np.array, params)
    kernel = params[f"Dense_{chosen['layer'] - 1}"]["kernel"]
    for (source, unit), value in zip(chosen["weights"], (w1, w2), strict=True):
        kernel[source, unit] = value
    return params


def _forward(chosen: dict[str, Any], params: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    beta = chosen["activation"].get("beta")
    seen = []
    for layer in range(chosen["model"]["depth"]):
        seen.append(x @ params[f"Dense_{layer}"]["kernel"])  # biases start at zero
        x = np.maximum(seen[-1], 0) if beta is None else seen[-1] * (1 + erf(beta * seen[-1] / np.sqrt(2))) / 2
    return x @ params[f"Dense_{chosen['model']['depth']}"]["kernel"], np.concatenate(seen)


def test_loss_and_inputs_of_units_are_those_of_a_plain_forward_pass(case: Any, x64: None) -> None:
    chosen, landscape = case
    problem = _problem(json.dumps(chosen))
    keys = jax.random.split(jax.random.key(chosen["seed"]), 3)
    x = np.asarray(jax.random.normal(keys[1], (chosen["inputs"],), jnp.float64))
    target = np.asarray(jax.random.normal(keys[2], (chosen["outputs"],), jnp.float64))
    for row, column in POINTS:
        params = _params_at(chosen, problem.params, landscape["w1"][column], landscape["w2"][row])
        logits, seen = _forward(chosen, params, x)
        assert landscape["loss"][row, column] == pytest.approx(np.sum((logits - target) ** 2) / 2, rel=1e-10)
        np.testing.assert_allclose(landscape["preactivations"][:, row, column], seen, rtol=1e-10, atol=1e-12)
    width, depth = chosen["model"]["width"], chosen["model"]["depth"]
    assert landscape["units"].tolist() == [[layer + 1, unit] for layer in range(depth) for unit in range(width)]


def test_norms_are_those_of_dense_matrices(case: Any, x64: None) -> None:
    chosen, landscape = case
    problem = _problem(json.dumps(chosen))
    name = f"Dense_{chosen['layer'] - 1}"
    _, unravel = ravel_pytree(problem.params)
    zeros = jax.tree.map(np.zeros_like, problem.params)
    mask = np.asarray(ravel_pytree({**zeros, name: jax.tree.map(np.ones_like, zeros[name])})[0], bool)
    logits_fn = jax.jit(lambda theta: problem.logits_fn(unravel(theta))[0])
    jacobian = jax.jit(jax.jacfwd(logits_fn))
    hessian = jax.jit(jax.hessian(logits_fn))
    residual_fn = jax.jit(jax.grad(problem.loss_fn))
    for row, column in POINTS:
        theta, _ = ravel_pytree(_params_at(chosen, problem.params, landscape["w1"][column], landscape["w2"][row]))
        residual = residual_fn(logits_fn(theta)[None])[0]
        nme = np.einsum("c,cij->ij", residual, hessian(theta))
        J = np.asarray(jacobian(theta))
        expected = {
            "norm_N": np.linalg.norm(nme),
            "norm_N_layer": np.linalg.norm(nme[np.ix_(mask, mask)]),
            "norm_G": np.linalg.norm(J.T @ J),
        }
        found = {key: landscape[key][row, column] for key in expected}
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_few_columns_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compute(made(points=3, activation=beta_gelu(2.0)))
    monkeypatch.setattr("nmepkg.landscape.compute._MEMORY", 3 * 41 * 2)
    parts = compute(made(points=3, activation=beta_gelu(2.0)))
    for key in whole:
        np.testing.assert_allclose(parts[key], whole[key], rtol=1e-12)


def test_everything_is_in_double_precision_and_jax_is_left_in_single() -> None:
    landscape = computed(points=3)
    assert {key: values.dtype.kind for key, values in landscape.items()} == {
        **dict.fromkeys(landscape, "f"), "units": "i", "layer": "i", "weights": "i"
    }  # fmt: skip
    assert all(values.dtype == np.float64 for values in landscape.values() if values.dtype.kind == "f")
    assert jnp.zeros(1).dtype == jnp.float32


def test_a_range_that_overflows_is_refused() -> None:
    with pytest.raises(UserError, match=r"^range: .* not finite"):
        compute(made(points=3, range=[-1e200, 1e200]))


# What the paper says of ReLU and β-GELU.


@pytest.mark.parametrize("changes", [{}, {"layer": 2, "weights": [[1, 0], [3, 1]]}], ids=["layer 1", "layer 2"])
def test_with_relu_the_loss_is_quadratic_in_each_region(changes: dict[str, Any]) -> None:
    """In a region, logits are affine in the weights of one layer: third differences vanish, second ones are equal."""
    landscape = computed(points=61, **changes)
    signs = landscape["preactivations"] > 0
    for axis in (0, 1):  # along w2, along w1
        loss = np.moveaxis(landscape["loss"], axis, 0)
        sign = np.moveaxis(signs, 1 + axis, 1)
        inside = np.all([sign[:, k : len(loss) - 3 + k] == sign[:, : len(loss) - 3] for k in (1, 2, 3)], axis=(0, 1))
        second, third = np.diff(loss, 2, axis=0), np.diff(loss, 3, axis=0)
        assert 0.5 < inside.mean() < 1
        assert np.abs(third[inside]).max() < 1e-12
        assert np.abs(third[~inside]).max() > 1e-3  # and across a boundary it is not
        assert np.abs(second).max() > 1e-3


def test_with_relu_no_nme_is_within_a_layer_but_some_is_between_layers() -> None:
    landscape = computed()
    assert np.all(landscape["norm_N_layer"] == 0)
    assert landscape["norm_N"].max() > 1


@pytest.mark.parametrize("changes", [{}, {"layer": 2, "weights": [[1, 0], [3, 1]]}], ids=["layer 1", "layer 2"])
def test_with_beta_gelu_the_nme_within_a_layer_lives_at_the_boundaries(changes: dict[str, Any]) -> None:
    """φ''(x) = β φ_N(βx)(2 − β²x²): at 5/β it is 2e-5 of its value at 0, and the layer's block of N with it.

    Only units of the layer itself or above come in, as only they depend on its weights.
    """
    beta = 20.0
    landscape = computed(activation=beta_gelu(beta), points=61, **changes)
    above = landscape["units"][:, 0] >= landscape["layer"]
    distance = np.abs(landscape["preactivations"][above]).min(axis=0)
    norm = landscape["norm_N_layer"]
    far = distance > 5 / beta
    assert 0.1 < far.mean() < 0.9
    assert norm[far].max() < 1e-3 * norm.max()
    assert np.sum(norm[distance < 2 / beta] ** 2) > 0.95 * np.sum(norm**2)


def test_its_ridges_are_as_wide_as_1_over_beta_and_as_high_as_beta() -> None:
    """A width: the integral of the norm over the plane, divided by its height."""
    small = {
        "model": {**spec()["model"], "width": 2, "depth": 1},
        "inputs": 2,
        "seed": 0,
        "range": [-2.0, 2.0],
        "points": 161,
    }
    one, two = (compute(made(activation=beta_gelu(beta), **small))["norm_N_layer"] for beta in (4.0, 8.0))
    assert two.max() / one.max() == pytest.approx(2, rel=0.1)
    assert two.mean() / two.max() / (one.mean() / one.max()) == pytest.approx(1 / 2, rel=0.1)


def test_away_from_the_boundaries_beta_gelu_has_the_loss_and_curvature_of_relu() -> None:
    beta = 20.0
    smooth, sharp = computed(activation=beta_gelu(beta)), computed(activation=RELU)
    far = np.abs(smooth["preactivations"]).min(axis=0) > 6 / beta
    assert far.mean() > 0.2
    for key in ("loss", "norm_G", "norm_N"):
        np.testing.assert_allclose(smooth[key][far], sharp[key][far], rtol=1e-4, atol=1e-6 * sharp[key].max())
    assert smooth["norm_N"][~far].max() > 2 * sharp["norm_N"].max()
