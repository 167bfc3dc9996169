"""What H ĝ and G ĝ foresee of the gradient ahead: against dense matrices, in the limit of small radii, and at ReLU's bends."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from nmepkg import activations, losses
from nmepkg.measurement.prediction import prediction
from nmepkg.measurement.problem import Problem
from nmepkg.registry import MEASUREMENTS
from tests import cases
from tests.measurement import problems

pytestmark = pytest.mark.usefixtures("x64")

RADII = [0.02, 0.5]


def expected(batch_cases, matrices, radius):
    """Of the mean loss of some batches, whose matrices those are."""
    g = np.mean([cases.gradient(case) for case in batch_cases], axis=0)
    unit = g / np.linalg.norm(g)
    theta, unravel = ravel_pytree(batch_cases[0].params)
    moved = unravel(theta + radius * unit)
    ahead = np.mean([cases.gradient(case._replace(params=moved)) for case in batch_cases], axis=0)
    d = (ahead - g) / radius
    result = {}
    for part in "HG":
        product = matrices[part] @ unit
        result[f"gap_{part}"] = np.linalg.norm(d - product) / np.linalg.norm(d)
        result[f"agreement_{part}"] = d @ product / np.linalg.norm(d) / np.linalg.norm(product)
        result[f"ratio_{part}"] = np.linalg.norm(product) / np.linalg.norm(d)
    return result


@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("name", [("mlp", "cross_entropy", "relu"), ("normalized", "mse", "gelu")], ids="-".join)
def test_values_against_dense_matrices(name, together):
    problem, batch_cases = problems.make(name, batches=3)
    problem = problem._replace(together=together)
    taken = [batch_cases] if together == 3 else [[case] for case in batch_cases]
    rows = []
    for some in taken:
        matrices = {part: np.mean([problems.ORACLES[part](case) for case in some], axis=0) for part in "HG"}
        rows.append([expected(some, matrices, radius) for radius in RADII])
    result = prediction(problem, radii=RADII)(batch_cases[0].params, {}, problems.KEY)
    for quantity in rows[0][0]:
        values = np.array([[at[quantity] for at in row] for row in rows])
        assert result[quantity] == pytest.approx(values.mean(axis=0).tolist(), rel=1e-7)
        if len(rows) > 1:
            assert result[f"{quantity}_se"] == pytest.approx(
                (values.std(axis=0, ddof=1) / np.sqrt(3)).tolist(), rel=1e-5
            )
        else:
            assert f"{quantity}_se" not in result
    assert {name for name in result if not name.endswith("_se")} == set(MEASUREMENTS["prediction"].quantities)


def test_the_gap_of_a_smooth_model_falls_as_the_radius():
    problem, (case,) = problems.make(("mlp", "cross_entropy", "gelu"))
    gaps = prediction(problem, radii=[1e-2, 1e-3, 1e-4])(case.params, {}, problems.KEY)["gap_H"]
    assert np.divide(gaps[:-1], gaps[1:]) == pytest.approx([10, 10], rel=0.05)


def test_a_linear_model_with_the_squared_loss_is_foreseen_at_any_radius():
    problem, (case,) = problems.make(("linear", "mse", "relu"))
    result = prediction(problem, radii=[0.1, 10.0])(case.params, {}, problems.KEY)
    assert result["gap_H"] == pytest.approx([0, 0], abs=1e-9)
    assert result["gap_G"] == pytest.approx([0, 0], abs=1e-9)
    assert result["agreement_H"] == pytest.approx([1, 1])
    assert result["ratio_G"] == pytest.approx([1, 1])


def test_a_gradient_of_zero_has_no_direction():
    problem, (case,) = problems.make(("mlp", "mse", "relu"))
    perfect = problem._replace(batches=((problem.batches[0][0], case.logits(case.params)),))
    result = prediction(perfect, radii=RADII)(case.params, {}, problems.KEY)
    assert all(value == [0.0, 0.0] for value in result.values())


# One hidden layer of ReLU without biases, one datapoint, squared loss: everything by hand.

X = np.array([1.0, -2.0])
IN = np.array([[0.6, -0.2, 1.0, 0.3], [0.25, 0.1, 0.55, -0.3]])  # (2, 4): preactivations 0.1, -0.4, -0.1, 0.9
OUT = np.array([1.5, -1.0, -2.0, 0.7])
TARGET = 3.0


def one_layer(phi):
    def logits_fn(params, context, inputs):
        return phi(inputs @ params["in"]) @ params["out"][:, None]

    return Problem(
        logits_fn=logits_fn,
        ablated_logits_fn=logits_fn,
        preactivations_fn=lambda params, context, inputs: [inputs @ params["in"]],
        activation=lambda context, x: phi(x),
        loss_fn=losses.mse,
        batches=((jnp.asarray(X)[None], jnp.asarray([[TARGET]])),),
    )


def by_hand(w, a):
    """The gradient of ½(a·relu(Wᵀx) − t)² in W and a, written out."""
    h = X @ w
    on = h > 0
    residual = a @ np.maximum(h, 0) - TARGET
    return np.outer(X, residual * a * on), residual * np.maximum(h, 0)


@pytest.mark.parametrize("radius", [0.01, 0.05, 0.06, 1.2])
def test_every_bend_of_one_layer_is_counted(radius):
    """D in closed form; and D ρ is ∫ H ĝ along the way plus the jump of the gradient at each bend, which H ĝ lacks."""
    problem = one_layer(activations.relu)
    params = {"in": jnp.asarray(IN), "out": jnp.asarray(OUT)}
    gw, ga = by_hand(IN, OUT)
    length = np.sqrt((gw**2).sum() + (ga**2).sum())
    uw, ua = gw / length, ga / length
    ahead = by_hand(IN + radius * uw, OUT + radius * ua)
    d = np.concatenate([(ahead[1] - ga) / radius, *((ahead[0] - gw) / radius)])

    # Preactivations are linear along the way: where each is zero, the unit turns on or off.
    h, slope = X @ IN, X @ uw
    with np.errstate(divide="ignore"):
        turns = [(t, unit) for unit, t in enumerate(-h / slope) if 0 < t <= radius]
    result = prediction(problem, radii=[radius])(params, {}, problems.KEY)
    assert result["fraction_crossed"] == [len(turns) / 4]

    jumps = np.zeros_like(d)
    for t, unit in turns:
        w, a = IN + t * uw, OUT + t * ua
        hidden = np.maximum(X @ w, 0)
        hidden[unit] = 0
        jump = np.zeros_like(IN)
        jump[:, unit] = X * (a @ hidden - TARGET) * a[unit] * np.sign(slope[unit])  # the change of φ' is ±1
        jumps += np.concatenate([np.zeros(4), *jump])
    # Between bends the gradient is a cubic in t, for which two Gauss points integrate its derivative exactly.
    ends = [0, *sorted(t for t, _ in turns), radius]
    smooth = np.zeros_like(d)
    for low, high in itertools.pairwise(ends):
        for node in (-1 / np.sqrt(3), 1 / np.sqrt(3)):
            t = (low + high) / 2 + node * (high - low) / 2
            smooth += _hessian_product(problem, IN + t * uw, OUT + t * ua, uw, ua) * (high - low) / 2
    np.testing.assert_allclose(smooth + jumps, radius * d, atol=1e-12)
    product = _hessian_product(problem, IN, OUT, uw, ua)
    gap = np.linalg.norm(d - product) / np.linalg.norm(d)
    assert result["gap_H"] == pytest.approx([gap], rel=1e-9)


def test_bends_there_are_in_that_network():
    """Or the test above would be of nothing."""
    result = prediction(one_layer(activations.relu), radii=[0.01, 0.05, 0.06, 1.2])(
        {"in": jnp.asarray(IN), "out": jnp.asarray(OUT)}, {}, problems.KEY
    )
    assert result["fraction_crossed"] == [0, 0, 0.25, 0.5]
    assert result["gap_H"][1] < 0.2 < 0.5 < result["gap_H"][2]  # a bend 0.05 ahead decides


def _hessian_product(problem, w, a, uw, ua):
    """H u by autodiff between bends, in the order of ``d``."""

    def loss(w, a):
        return problem.loss_fn(problem.logits_fn({"in": w, "out": a}, {}, X[None]), problem.batches[0][1])

    gw, ga = jax.jvp(jax.grad(loss, (0, 1)), (jnp.asarray(w), jnp.asarray(a)), (jnp.asarray(uw), jnp.asarray(ua)))[1]
    return np.concatenate([ga, *np.asarray(gw)])
