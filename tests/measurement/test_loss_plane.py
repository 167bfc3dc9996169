"""The loss over planes against closed forms of dense matrices, and the model evaluated apart."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import activations, losses, specs
from nmepkg.measurement import points
from nmepkg.measurement.directions import directions as find
from nmepkg.measurement.loss_plane import loss_plane
from nmepkg.models.mlp import MLP
from nmepkg.registry import MEASUREMENTS
from nmepkg.study.canonical import canonical_measurement
from nmepkg.study.checks import check_entry
from tests import cases
from tests.measurement import problems
from tests.training.runs import CLASSES, dataset, make_spec, start

WHICH = MEASUREMENTS["loss_plane"].options["directions"]["enum"]
NAME = ("mlp", "cross_entropy", "gelu")


def measured(problem, params, directions, range=0.5, points=5, context=None, tolerance=1e-10):
    measure = loss_plane(problem, directions=directions, range=range, points=points, steps=20, tolerance=tolerance)
    return measure(params, context or {}, problems.KEY)


def pair(problem, params, directions):
    (u, v), _ = find(problem, directions, 20, 1e-10)(params, {}, problems.KEY)
    return cases.flat(u), cases.flat(v)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("directions", WHICH)
def test_of_a_linear_model_with_squares_it_is_the_quadratic(directions):
    """L + gᵀw + ½ wᵀH w, w = a u + b v, with no other term. Of H each eigenvalue comes once a class, and N is 0."""
    name = ("linear", "mse", "relu")
    problem, batch_cases = problems.make(name, 2)
    params = batch_cases[0].params
    result = measured(problem, params, directions, range=3.0)
    u, v = pair(problem, params, directions)
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    hessian = problems.dense("H", name, 2)
    grid = np.linspace(-3, 3, 5)
    assert result["coordinates"] == grid.tolist()
    here = np.mean([case.loss(case.logits(params)) for case in batch_cases])
    for row, b in zip(result["loss_plane"], grid, strict=True):
        for found, a in zip(row, grid, strict=True):
            w = a * u + b * v
            assert found == pytest.approx(here + g @ w + w @ hessian @ w / 2, rel=1e-10)
    assert result["loss"] == pytest.approx(here, rel=1e-12)
    assert result["loss_plane"][2][2] == result["loss"]
    assert result["cosine"] == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v), abs=1e-12)
    if directions in ("top_H", "top_G"):
        values = np.linalg.eigvalsh(hessian)
        assert values[-1] == pytest.approx(values[-2])
        assert [result["eigenvalue_u"], result["eigenvalue_v"]] == pytest.approx(values[-2:])
        assert result["cosine"] == pytest.approx(0, abs=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("part", "HGN")
def test_second_differences_are_the_curvature(part):
    """Along eigenvectors of H its eigenvalues, and across them 0; of G and N, from dense eigenvectors, uᵀH u."""
    problem, batch_cases = problems.make(NAME, 2)
    h = 1e-3
    result = measured(problem, batch_cases[0].params, f"top_{part}", range=h, points=3)
    plane = np.array(result["loss_plane"])
    values, vectors = np.linalg.eigh(problems.dense(part, NAME, 2))
    hessian = problems.dense("H", NAME, 2)
    u, v = vectors[:, -1], vectors[:, -2]
    along_u = (plane[1, 2] - 2 * plane[1, 1] + plane[1, 0]) / h**2
    along_v = (plane[2, 1] - 2 * plane[1, 1] + plane[0, 1]) / h**2
    across = (plane[2, 2] - plane[2, 0] - plane[0, 2] + plane[0, 0]) / (4 * h**2)
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    sign = np.sign(u @ g) * np.sign(v @ g)
    expected = [u @ hessian @ u, v @ hessian @ v, sign * (u @ hessian @ v)]
    np.testing.assert_allclose([along_u, along_v, across], expected, rtol=1e-4, atol=1e-5)
    if part == "H":
        np.testing.assert_allclose([along_u, along_v], values[[-1, -2]], rtol=1e-4)
    np.testing.assert_allclose([result["eigenvalue_u"], result["eigenvalue_v"]], values[[-1, -2]], rtol=1e-9)
    slopes = np.array([plane[1, 2] - plane[1, 0], plane[2, 1] - plane[0, 1]]) / (2 * h)
    np.testing.assert_allclose(slopes, [abs(u @ g), abs(v @ g)], rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_accuracy_is_that_of_the_moved_net():
    problem, batch_cases = problems.make(NAME, 2)
    params = batch_cases[0].params
    result = measured(problem, params, "filter_normalized", range=2.0, points=4)
    u, v = pair(problem, params, "filter_normalized")
    theta, unravel = ravel_pytree(params)
    for row, losses_, b in zip(result["accuracy_plane"], result["loss_plane"], result["coordinates"], strict=True):
        for accuracy, loss, a in zip(row, losses_, result["coordinates"], strict=True):
            moved = unravel(theta + a * u + b * v)
            logits = [np.asarray(case.logits_fn(moved, case.batch[0])[0]) for case in batch_cases]
            hits = [z.argmax(1) == np.asarray(case.batch[1]) for z, case in zip(logits, batch_cases, strict=True)]
            assert accuracy == np.mean(hits)
            assert loss == pytest.approx(np.mean([case.loss(z) for z, case in zip(logits, batch_cases, strict=True)]))
    assert 0 < result["accuracy"] < 1
    assert len(set(np.ravel(result["accuracy_plane"]))) > 2


def net(mode, **changes):
    """The problem of a small run with BatchNorm, its variables at the beginning, and its context."""
    spec = make_spec(model={"width": 6, "depth": 2, "batch_norm": True}, **changes)
    asked = check_entry("measurement", {"kind": "loss_plane", "batch_norm": mode}, "", key="kind")
    problem, _ = points.make_problem(
        specs.recipe(spec), specs.measurement(canonical_measurement(asked, {"second_derivative": None})), dataset()
    )
    _, state, _ = start(spec, dataset())
    return problem, state, {"batch_stats": state.batch_stats, "beta": jnp.float32(1.0), "step": 0, "memory": {}}


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_of_a_net_with_batch_norm(mode):
    """Flax's net with each batch's own statistics, or with the running averages, in single precision as a job has it."""
    problem, state, context = net(mode)
    result = measured(problem, state.params, "top_H", range=2.0, points=3, context=context, tolerance=1e-3)
    (u, v), _ = find(problem, "top_H", 20, 1e-3)(state.params, context, problems.KEY)
    model = MLP(CLASSES, activations.gelu, 6, 2, True)
    for row, b in zip(result["loss_plane"], (-2, 0, 2), strict=True):
        for found, a in zip(row, (-2, 0, 2), strict=True):
            moved = jax.tree.map(lambda p, x, y, a=a, b=b: p + a * x + b * y, state.params, u, v)
            expected = []
            for inputs, labels in problem.batches:
                variables = {"params": moved, "batch_stats": state.batch_stats}
                if mode == "train":
                    logits, _ = model.apply(variables, inputs, train=True, mutable=["batch_stats"])
                else:
                    logits = model.apply(variables, inputs, train=False)
                expected.append(losses.cross_entropy(logits, labels))
            assert found == pytest.approx(float(np.mean(expected)), rel=1e-4)
    # Sharper along the one with the larger eigenvalue, also in single precision.
    assert result["eigenvalue_u"] > result["eigenvalue_v"] > 0
    assert result["bound_u"] < 2e-3 * result["eigenvalue_u"]


def test_filters_that_batch_norm_makes_equal_have_equal_planes():
    """Why Li et al. normalise filters: kernels three times as large are the same net there, and its plane the same."""
    problem, state, context = net("train")
    larger = {
        name: {key: 3 * leaf if key == "kernel" and name != "Dense_2" else leaf for key, leaf in layer.items()}
        for name, layer in state.params.items()
    }
    assert any((larger[name]["kernel"] != state.params[name]["kernel"]).any() for name in ("Dense_0", "Dense_1"))
    planes = [
        np.array(measured(problem, params, "filter_normalized", 1.0, 5, context)["loss_plane"])
        for params in (state.params, larger)
    ]
    assert np.ptp(planes[0]) > 0.2
    np.testing.assert_allclose(planes[1], planes[0], rtol=2e-3)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("directions", WHICH)
def test_a_diverged_model_has_values_that_are_not_numbers(directions):
    problem, (case,) = problems.make(("mlp", "mse", "gelu"))
    result = measured(problem, jax.tree.map(lambda x: x * np.nan, case.params), directions, points=2)
    for name in MEASUREMENTS["loss_plane"].quantities:
        assert np.isnan(result[name]).all()
        assert np.shape(result[name]) == (2, 2)
    assert np.isnan([result["loss"], result["accuracy"]]).all()
