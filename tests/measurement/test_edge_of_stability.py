"""The edge of stability against the optimiser that trains, and sharpness against dense matrices, warm and cold."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import specs
from nmepkg.errors import UserError
from nmepkg.measurement import points
from nmepkg.measurement.edge_of_stability import edge_of_stability
from nmepkg.measurement.edges import edge
from nmepkg.optimizers.sgd import sgd
from nmepkg.study.canonical import canonical_measurement
from nmepkg.study.checks import check_entry
from nmepkg.training.optimizer import hyperparameters, learning_rate, transformation
from tests.measurement import problems
from tests.training.runs import adamw, dataset, make_spec, start

pytestmark = pytest.mark.usefixtures("x64")

NAME = ("mlp", "cross_entropy", "gelu")
EXAMPLES = 40  # 5 steps an epoch, 15 in all


def recipe(**optimizer):
    return specs.recipe(make_spec(optimizer={"weight_decay": 0.0, **optimizer}))


def context(step=0, memory=None):
    return {"step": step, "memory": {} if memory is None else memory}


def growth(made, curvature, rate):
    """By how much a step on ½ λ x² multiplies (x, u) at most, u the momentum: from its two columns, by what trains."""
    hyper = hyperparameters(made, EXAMPLES)
    make = partial(sgd, **made.optimizer.switches)
    transform = transformation(make, hyper, jnp.zeros(1), decayed_parameters="all", clip=False)
    empty = transform.init(jnp.zeros(1))

    def step(x, u):
        state = jax.tree.map(lambda leaf: jnp.full_like(leaf, u), empty)
        change, state = transform.update(jnp.full(1, curvature * x), state, jnp.full(1, x))
        (momentum,) = jax.tree.leaves(state)
        return [float(x - rate * change[0]), float(momentum[0])]

    return np.abs(np.linalg.eigvals(np.transpose([step(1.0, 0.0), step(0.0, 1.0)]))).max()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("taken", [0, 3, 5, 14])
def test_the_optimiser_is_stable_up_to_the_edge(taken, momentum, nesterov):
    made = recipe(momentum=momentum, nesterov=nesterov)
    rate = float(learning_rate(jnp.asarray(taken), hyperparameters(made, EXAMPLES)))
    threshold = edge(made, EXAMPLES, taken)
    assert growth(made, threshold, rate) == pytest.approx(1, abs=1e-3)  # the rate is of single precision
    assert growth(made, 1.01 * threshold, rate) > 1.001
    assert growth(made, 0.99 * threshold, rate) < 1


def test_where_no_step_follows_or_it_does_not_move_the_nearest_counts():
    made = recipe(warmup_from=0.0)
    assert edge(made, EXAMPLES, 15) == edge(made, EXAMPLES, 14) > edge(made, EXAMPLES, 13)
    assert edge(made, EXAMPLES, 0) == edge(made, EXAMPLES, 1) > edge(made, EXAMPLES, 2)
    long = specs.recipe(make_spec(training={"epochs": 4000}))  # the cosine of its last steps rounds to -1
    assert np.isfinite(edge(long, EXAMPLES, 20_000))
    nothing = specs.recipe(make_spec(optimizer={"warmup_from": 0.0}, training={"epochs": 1, "batch_size": 40}))
    assert edge(nothing, EXAMPLES, 0) == np.inf  # its only step


def test_of_another_optimiser_it_is_not_known():
    with pytest.raises(UserError, match="the edge of stability of the optimizer 'adamw' is not known, only of 'sgd'"):
        edge(specs.recipe({**make_spec(), "optimizer": adamw()}), EXAMPLES, 0)


def test_sharpness_is_the_largest_eigenvalue_of_the_dense_matrix():
    problem, batch_cases = problems.make(NAME, 2)
    problem = problem._replace(edge=lambda step: 10.0 + step)
    result = edge_of_stability(problem, steps=5, tolerance=1e-8)(batch_cases[0].params, context(2), problems.KEY)
    largest = np.linalg.eigvalsh(problems.dense("H", NAME, 2))[-1]
    assert result["sharpness"] == pytest.approx(largest, rel=1e-12)
    assert (result["threshold"], result["ratio"]) == (12.0, result["sharpness"] / 12.0)
    assert result["bound"] <= 1e-8 * largest
    assert result["products"] > 5


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_a_warm_start_finds_the_same_eigenvalue_with_fewer_products(tolerance):
    """Along a path of parameters, as of a training."""
    problem, (case,) = problems.make(NAME)
    measure = edge_of_stability(problem, steps=3, tolerance=tolerance)
    memory, took = {}, []
    for step in range(4):
        params = jax.tree.map(lambda x, step=step: x * (1 + 0.01 * step), case.params)
        warm = measure(params, context(step, memory), problems.KEY)
        cold = measure(params, context(step), problems.KEY)
        assert warm["sharpness"] == pytest.approx(cold["sharpness"], rel=2 * tolerance)
        took.append((warm["products"], cold["products"]))
    assert took[0][0] == took[0][1]
    assert sum(warm for warm, _ in took[1:]) < sum(cold for _, cold in took[1:])


def test_another_eigenvalue_that_has_overtaken_is_found():
    """From the eigenvector of the smallest one, exactly."""
    problem, (case,) = problems.make(NAME)
    values, vectors = np.linalg.eigh(problems.dense("H", NAME))
    memory = {"eigenvector": jnp.asarray(vectors[:, 0])}
    result = edge_of_stability(problem, steps=10, tolerance=1e-6)(case.params, context(0, memory), problems.KEY)
    assert result["sharpness"] == pytest.approx(values[-1], rel=1e-9)
    found = np.asarray(memory["eigenvector"])
    assert abs(found @ vectors[:, -1]) == pytest.approx(1, rel=1e-9)


def test_a_diverged_model_has_no_sharpness_and_leaves_nothing_behind():
    problem, (case,) = problems.make(NAME)
    memory = {}
    params = jax.tree.map(lambda x: x * np.nan, case.params)
    result = edge_of_stability(problem, steps=3, tolerance=1e-3)(params, context(0, memory), problems.KEY)
    assert np.isnan(result["sharpness"])
    assert memory == {}


def test_every_run_begins_anew_with_its_own_schedule():
    """Of one compiled measurement, and a point begins where the one before it was."""
    spec, data = make_spec(optimizer={"nesterov": False}), dataset()
    _, state, _ = start(spec, data)
    asked = check_entry("measurement", {"kind": "edge_of_stability", "at": [1, 4, "final"], "steps": 3}, "", "kind")
    asked = specs.measurement(canonical_measurement(asked, {"second_derivative": None}))
    where = {1: 1, 4: 4, "final": 9}

    def measured():
        found, _ = points.measure_points(
            specs.recipe(spec),
            asked,
            data,
            lambda at: (where[at], (state.params, state.batch_stats)),
            lambda line: None,
        )
        return [point["values"] for point in found]

    first = measured()
    assert measured() == first
    assert first[1]["products"] < first[0]["products"]
    assert [values["sharpness"] for values in first] == pytest.approx([first[0]["sharpness"]] * 3, rel=2e-3)
    made = specs.recipe(spec)
    assert [values["threshold"] for values in first] == [edge(made, 27, step) for step in (1, 4, 9)]
    rate = 0.1 * (1 / 3 + 2 / 3 * 1 / 3)  # of step 1 in the first of 3 epochs of 3 steps, which warms up
    assert first[0]["threshold"] == pytest.approx(2 * 1.9 / rate, rel=1e-6)
