"""What is measured is of the training as it is: the gradient of a step, its loss, φ'' and precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import specs
from nmepkg.data.store import Dataset
from nmepkg.entries import Measurement
from nmepkg.measurement import points
from nmepkg.measurement.problem import Problem
from nmepkg.records import to_json
from nmepkg.registry import MEASUREMENTS
from nmepkg.study.canonical import canonical, canonical_measurement
from nmepkg.study.checks import check_entry
from tests import cases
from tests.training.runs import dataset, make_spec, method, quick_jit, start

pytestmark = pytest.mark.usefixtures("x64")

EXAMPLES = 16  # one batch of training
SUBSTITUTE = {"name": "gaussian", "beta": 2.0}


def gradient(problem: Problem) -> Any:
    """A measurement of the gradient itself, the mean over batches."""
    of_batch = quick_jit(lambda params, context, batch: problem.linearize(params, context, batch).gradient)

    def measure(params: Any, context: Any, key: Any) -> dict[str, Any]:
        found = [cases.flat(of_batch(params, context, batch)) for batch in problem.batches]
        return {"gradient": np.mean(found, axis=0).tolist()}

    return measure


def parts(problem: Problem) -> Any:
    """A measurement of G v and N v of a fixed vector v, on the first batch."""
    of_batch = quick_jit(lambda params, context, v: problem.linearize(params, context, problem.batches[0]).parts(v))

    def measure(params: Any, context: Any, key: Any) -> dict[str, Any]:
        g, n = of_batch(params, context, jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size)).reshape(x.shape), params))
        return {"G": cases.flat(g).tolist(), "N": cases.flat(n).tolist()}

    return measure


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (gradient, parts):
        monkeypatch.setitem(MEASUREMENTS, kind.__name__, Measurement(f"{__name__}:{kind.__name__}", {}))


def data() -> Dataset:
    toy = dataset()
    return toy._replace(train=(np.float64(toy.train[0]), toy.train[1]))


@cache
def variables(batch_norm: bool = True) -> tuple[Any, Any]:
    """Parameters and running averages of a model that is no longer at its initialisation, nor its scales at 1."""
    _, state, _ = start(trained(model={"batch_norm": batch_norm}), dataset())
    rng = np.random.default_rng(5)
    moved = jax.tree.map(lambda x: np.float64(x) + 0.3 * rng.normal(size=x.shape), state.params)
    averages = jax.tree.map(lambda x: np.float64(x) + rng.uniform(0, 1, size=x.shape), state.batch_stats)
    return moved, averages


def measured(run_spec: Mapping[str, Any], where: tuple[Any, Any], kind: str, **options: Any) -> dict[str, Any]:
    """The values of one point, and under ``data`` what they were measured on."""
    known = "alignment" if kind in ("gradient", "parts") else kind
    replaced = {"second_derivative": options.pop("second_derivative", None)}
    spec = check_entry("measurement", {"kind": known, "examples": EXAMPLES, **options}, "", "kind")
    spec = canonical_measurement({**spec, "kind": kind}, replaced)
    measure_points = points.measure_points.__wrapped__  # type: ignore[attr-defined]  # in double precision
    (point,), account = measure_points(
        specs.recipe(run_spec), specs.measurement(spec), data(), lambda at: (7, where), lambda line: None
    )
    assert point["status"] == "measured"
    return {**point["values"], "data": account}


def order(size: int = EXAMPLES) -> np.ndarray:
    """The examples that are measured on."""
    return np.random.default_rng(0).permutation(dataset().sizes[0])[:size]


@cache
def step_of(spec: str) -> tuple[Any, Any, Any]:
    program, state, hyper = start(json.loads(spec), dataset())
    return quick_jit(program.step), state, hyper


def direction(spec: Mapping[str, Any], where: tuple[Any, Any], examples: np.ndarray) -> np.ndarray:
    """What a training step takes in the gradient's place, by the program that trains: the first state of the momentum."""
    step, state, hyper = step_of(to_json(spec))
    state = state._replace(params=where[0], batch_stats=where[1], order=jnp.asarray(examples))
    after = step(state, hyper, jax.tree.map(jnp.asarray, data().train))
    return cases.flat(jax.tree.leaves(after.optimizer))


def trained(
    accumulate: int = 1, group: int | None = None, batch_size: int = EXAMPLES, **changes: Any
) -> dict[str, Any]:
    training = {"batch_size": batch_size, "accumulate": accumulate, "batch_norm_group": group}
    return make_spec(training=training, optimizer={"weight_decay": 0.0}, **changes)


@pytest.mark.parametrize(
    ("accumulate", "group", "m"),
    [(2, 4, None), (2, 2, 4), (1, None, 4), (1, 4, None)],
)
def test_the_gradient_measured_is_that_of_a_step(accumulate: int, group: int | None, m: int | None) -> None:
    """Parts of a batch, and the groups that BatchNorm normalises in them, in any combination; as a vector, in float64."""
    spec = trained(accumulate, group, method={**method("usam", 0.0), "m": m})
    taken = direction(spec, variables(), order())
    found = measured(spec, variables(), "gradient")
    np.testing.assert_allclose(found["gradient"], taken, rtol=1e-9, atol=1e-12)
    assert not np.allclose(taken, direction(trained(), variables(), order()), rtol=1e-3), "or this test is idle"
    if m and not group:  # at strength 0 the run is that of SGD, and the same step
        np.testing.assert_allclose(direction(canonical(spec), variables(), order()), taken, rtol=1e-9, atol=1e-12)
        assert measured(canonical(spec), variables(), "gradient") == found
    assert found["data"]["batch_norm_group"] == (group or m)
    assert (found["data"]["batch_size"], found["data"]["batches"]) == (EXAMPLES, 1)


def test_without_batch_norm_nothing_is_normalised() -> None:
    spec = trained(4, model={"batch_norm": False})
    found = measured(spec, variables(batch_norm=False), "gradient")
    assert (found["data"]["batch_norm_group"], found["data"]["batch_size"]) == (None, EXAMPLES)
    np.testing.assert_allclose(
        found["gradient"], direction(spec, variables(batch_norm=False), order()), rtol=1e-9, atol=1e-12
    )


def test_norms_are_of_a_batch() -> None:
    """A penalty is of a batch, so the norm of its gradient is too, whatever it is taken in, and normalised in."""
    batches, group, size = 2, 4, EXAMPLES // 2
    spec, where = trained(2, group, size), variables()
    taken = [direction(trained(1, group, size), where, batch) for batch in order().reshape(batches, size)]
    lengths = [np.linalg.norm(batch) for batch in taken]
    found = measured(spec, where, "alignment")
    assert found["gradient_norm"] == pytest.approx(np.mean(lengths), rel=1e-9)
    assert found["gradient_norm_se"] == pytest.approx(np.std(lengths, ddof=1) / np.sqrt(batches), rel=1e-6)


def test_batches_of_an_own_size_are_normalised_whole() -> None:
    spec, where = trained(4, 2), variables()
    expected = [direction(trained(1, None, 8), where, part) for part in order().reshape(2, 8)]
    found = measured(spec, where, "gradient", batch_size=8)
    np.testing.assert_allclose(found["gradient"], np.mean(expected, axis=0), rtol=1e-9, atol=1e-12)
    assert found["data"]["batch_norm_group"] == 8
    assert measured(spec, where, "gradient", batch_size=8, batch_norm="evaluate")["data"]["batch_norm_group"] is None


def test_a_second_derivative_is_that_of_the_measurement_not_of_the_run() -> None:
    """N is that of a run trained with it; G that of one without too, as it takes φ' alone."""

    def found(run: Any, wanted: Any) -> dict[str, Any]:
        spec = trained(activation={"name": "gelu", "second_derivative": run})
        return measured(spec, variables(), "parts", second_derivative=wanted)

    replaced, plain = found(None, SUBSTITUTE), found(None, None)
    assert found(SUBSTITUTE, SUBSTITUTE) == replaced
    assert found(SUBSTITUTE, None) == plain
    np.testing.assert_allclose(replaced["G"], plain["G"], rtol=1e-12, atol=1e-14)
    assert not np.allclose(replaced["N"], plain["N"], rtol=1e-2)


def test_units_that_see_no_second_derivative_are_counted_with_that_of_the_measurement() -> None:
    shares = [
        measured(trained(), variables(), "second_derivative", second_derivative=wanted)["fraction_zero"]
        for wanted in (None, {"name": "zero"})
    ]
    assert shares == [0.0, 1.0]


def test_the_loss_measured_is_that_of_training_without_decay() -> None:
    """Smoothed where it is; weight decay is outside of it."""
    spec = trained(loss={"label_smoothing": 0.2})
    where = variables()
    found = measured({**spec, "optimizer": {**spec["optimizer"], "weight_decay": 1.0}}, where, "gradient")
    np.testing.assert_allclose(found["gradient"], direction(spec, where, order()), rtol=1e-9, atol=1e-12)
    plain = direction(trained(loss={"label_smoothing": 0.0}), where, order())
    assert not np.allclose(found["gradient"], plain, rtol=1e-2)


def test_a_measurement_computes_in_float32_whatever_the_training_does() -> None:
    spec = trained()
    where = jax.tree.map(np.float32, variables())
    half = {**spec, "training": {**spec["training"], "precision": "bfloat16"}}
    exact, found = measured(spec, where, "gradient"), measured(half, where, "gradient")
    assert found["gradient"] == exact["gradient"]
    rounded = direction(half, where, order())
    assert not np.allclose(rounded, exact["gradient"], rtol=1e-3, atol=1e-4), "bfloat16 rounds, or this test is idle"


def test_images_are_measured_as_an_evaluation_sees_them() -> None:
    """Not augmented."""
    augmented = trained(augmentation={"name": "pad_crop_flip", "padding": 4, "flip": True})
    found = measured(augmented, variables(), "gradient")
    np.testing.assert_allclose(found["gradient"], measured(trained(), variables(), "gradient")["gradient"])
