"""The numbers of a measurement: one run's model, at the initialisation, at snapshots, and after training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg import numerics
from nmepkg.data.splits import SETS
from nmepkg.data.store import Dataset
from nmepkg.errors import UserError
from nmepkg.measurement.batches import sizes
from nmepkg.measurement.edges import edge
from nmepkg.measurement.problem import Batch, Context, Measure, Params, Problem
from nmepkg.registry import MEASUREMENTS, MODELS
from nmepkg.specs import Activation, Choice, Measurement, Recipe, shape
from nmepkg.training import build
from nmepkg.training.compiled import once
from nmepkg.training.optimizer import hyperparameters
from nmepkg.training.step import make_program

At = str | int  # "initial", "final", or a number of steps taken
Variables = tuple[Any, Any]  # parameters, running averages
Point = dict[str, Any]
PRODUCTS = "float32"  # precision of products, whatever a training's is


@numerics.settings()
def measure_points(
    recipe: Recipe,
    measurement: Measurement,
    dataset: Dataset,
    load: Callable[[At], tuple[int, Variables | str]],
    report: Callable[[str], None],
) -> tuple[list[Point], dict[str, Any]]:
    """Measures a run at each place that the measurement names.

    The loss is that of training, with its label smoothing, without weight decay and penalty, on examples as an evaluation
    sees them, not augmented. The model computes in float32, whatever the training's precision, and float32 products are full
    float32 products, also where the hardware would round them (TF32): curvature near interpolation is a small difference of
    large terms. Where the measurement replaces φ'', φ'' is replaced, whatever the run was trained with.

    Args:
      recipe: of the run.
      measurement: what is measured.
      dataset: the run's data, split.
      load: ``"final"`` or a number of steps -> (steps taken, variables there); where a diverged run has none, the status of
        the point takes their place.
      report: called with a line after each point.

    Returns:
      Points, each ``{"at", "step", "status", "values"}``: ``measured``; ``not_finite``, where a parameter or a quantity is no
      finite number (values are null then); ``not_reached``. And which examples they were measured on.

    Raises:
      UserError: the split has too few examples for one batch.
    """
    functions = _compiled(recipe, measurement, dataset)
    quantities = MEASUREMENTS[measurement.kind].quantities
    beta = jnp.float32(recipe.activation.options.get("beta", 1.0))
    points: list[Point] = []
    memory: dict[str, Any] = {}
    with jax.default_matmul_precision(PRODUCTS):
        for at in measurement.at:
            step, variables = (0, _initial(functions, recipe, dataset)) if at == "initial" else load(at)
            point: Point = {"at": at, "step": step, "status": "measured", "values": None}
            if isinstance(variables, str):
                point["status"] = variables
            elif not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
                point["status"] = "not_finite"
            else:
                params, batch_stats = variables
                context = {"batch_stats": batch_stats, "beta": beta, "step": step, "memory": memory}
                values = functions.measure(params, context, jax.random.key(measurement.seed))
                point["values"] = _finite_or_null(values)
                if not all(np.isfinite(values[quantity]).all() for quantity in quantities):  # a number, or one a radius
                    point["status"] = "not_finite"
            points.append(point)
            report(f"{at}: {point['status']}, {len(points)} of {len(measurement.at)}")
    return points, functions.account


class _Compiled(NamedTuple):
    """What is compiled when first called, and the account of the examples that it is called on."""

    measure: Measure
    init: Callable[..., Any]
    account: dict[str, Any]


_kept: dict[str, _Compiled] = {}  # of one shape and measurement, the last ones: those of others would fill the memory


def _compiled(recipe: Recipe, measurement: Measurement, dataset: Dataset) -> _Compiled:
    """Kept for the next run of the same shape in this process: tracing and loading them takes longer than most measurements."""
    key = repr((shape(recipe), replace(measurement, at=()), dataset.sha256, dataset.sizes))
    if key not in _kept:
        problem, account = make_problem(recipe, measurement, dataset)
        program = make_program(recipe, dataset.classes, dataset.sizes[0], dataset.scaling)
        measure = MEASUREMENTS[measurement.kind].load()(problem, **measurement.options)
        _kept.clear()
        _kept[key] = _Compiled(measure, jax.jit(program.init, compiler_options=once()), account)
    return _kept[key]


def make_problem(recipe: Recipe, measurement: Measurement, dataset: Dataset) -> tuple[Problem, dict[str, Any]]:
    """The model of a run in the measurement's BatchNorm mode, as functions, with its examples, and the account of those.

    ``batch_norm: train`` normalises with the statistics of each batch, as functions of the parameters, as in a training step;
    ``evaluate`` with the running averages, as constants.
    """
    make_model = build.model(recipe, dataset.classes)
    train = measurement.batch_norm == "train"
    replaced = Activation(recipe.activation.name, recipe.activation.options, measurement.second_derivative)
    without = replace(replaced, second_derivative=Choice("zero"))

    def activation(context: Context, x: Array) -> Array:
        return build.activation(replaced, context["beta"])(x)

    def apply(params: Params, context: Context, inputs: Array, phi: Callable[[Array], Array]) -> Array:
        variables = {"params": params, "batch_stats": context["batch_stats"]}
        model = make_model(activation=phi)
        if train:
            return model.apply(variables, inputs, train=True, mutable=["batch_stats"])[0]
        return model.apply(variables, inputs, train=False)

    def logits_fn(params: Params, context: Context, inputs: Array) -> Array:
        return apply(params, context, inputs, lambda x: activation(context, x))

    def ablated_logits_fn(params: Params, context: Context, inputs: Array) -> Array:
        return apply(params, context, inputs, build.activation(without, context["beta"]))

    def preactivations_fn(params: Params, context: Context, inputs: Array) -> list[Array]:
        seen: list[Array] = []

        def recording(x: Array) -> Array:
            seen.append(x)
            return activation(context, x)

        apply(params, context, inputs, recording)
        return seen

    batches, together, account = _batches(recipe, measurement, dataset)
    loss_fn = build.loss(recipe)
    unstable = partial(edge, recipe, dataset.sizes[0])
    problem = Problem(logits_fn, ablated_logits_fn, preactivations_fn, activation, loss_fn, batches, together, unstable)
    return problem, account


def _batches(
    recipe: Recipe, measurement: Measurement, dataset: Dataset
) -> tuple[tuple[Batch, ...], int, dict[str, Any]]:
    """What is measured on: the first examples of a permutation of the split, drawn from the measurement's seed.

    Returns:
      Batches that are each normalised by themselves; how many of these belong together; and what is recorded of them.
    """
    examples = dataset.sizes[SETS.index(measurement.split)]
    group, size = sizes(recipe.training, recipe.model, measurement.batch_size, recipe.method.m)
    order = np.random.default_rng(measurement.seed).permutation(examples)[: measurement.examples]
    count = len(order) // size
    if count == 0:
        raise UserError(
            f"measurement of {measurement.kind}: {len(order)} examples of {measurement.split} fill no batch of {size}; "
            "lower batch_size or raise examples"
        )
    taken = (dataset.take(measurement.split, part) for part in order[: count * size].reshape(-1, group))
    batches = tuple((jnp.asarray(x), jnp.asarray(y)) for x, y in taken)
    mixed = MODELS[recipe.model.name].mixes_examples(recipe.model.options)
    account = {
        "sha256": dataset.sha256,
        "split": measurement.split,
        "examples": count * size,
        "of": examples,
        "batch_size": size,
        "batches": count,
        "batch_norm_group": group if mixed and measurement.batch_norm == "train" else None,
    }
    return batches, size // group, account


def _initial(functions: _Compiled, recipe: Recipe, dataset: Dataset) -> Variables:
    """Where the run began: initialised again from its seed."""
    hyper = hyperparameters(recipe, dataset.sizes[0])
    state = functions.init(np.uint32(recipe.seed), hyper, dataset.example)
    return state.params, state.batch_stats


def _finite_or_null(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite_or_null(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite_or_null(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
