"""The numbers of a measurement: one run's model, at the initialisation, at snapshots, and after training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nmepkg import activations, numerics
from nmepkg.data.splits import SETS
from nmepkg.data.store import Dataset
from nmepkg.errors import UserError
from nmepkg.measurement.problem import Batch, Context, Params, Problem
from nmepkg.measurement.spec import sizes
from nmepkg.registry import MEASUREMENTS, MODELS
from nmepkg.training.optimizer import hyperparameters
from nmepkg.training.step import loss_function, make_program, model_factory

At = str | int  # "initial", "final", or a number of steps taken
Variables = tuple[Any, Any]  # parameters, running averages
Point = dict[str, Any]


@numerics.settings()
def measure_points(
    run_spec: Mapping[str, Any],
    spec: Mapping[str, Any],
    dataset: Dataset,
    load: Callable[[At], tuple[int, Variables | str]],
    report: Callable[[str], None],
) -> tuple[list[Point], dict[str, Any]]:
    """Measures a run at each place that the measurement's spec names.

    The loss is that of training, with its label smoothing, without weight decay and penalty, on examples as an evaluation
    sees them, not augmented. The model computes in float32, whatever the training's precision, and float32 products are full
    float32 products, also where the hardware would round them (TF32): curvature near interpolation is a small difference of
    large terms. Where the measurement's spec replaces φ'', φ'' is replaced, whatever the run was trained with.

    Args:
      run_spec, spec: canonical specs of run and measurement.
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
    problem, data = make_problem(run_spec, spec, dataset)
    entry = MEASUREMENTS[spec["kind"]]
    measure = entry.load()(problem, **{option: spec[option] for option in entry.options})
    beta = jnp.float32(run_spec["activation"].get("beta", 1.0))
    points: list[Point] = []
    with jax.default_matmul_precision("highest"):
        for at in spec["at"]:
            step, variables = (0, _initial(run_spec, dataset)) if at == "initial" else load(at)
            point: Point = {"at": at, "step": step, "status": "measured", "values": None}
            if isinstance(variables, str):
                point["status"] = variables
            elif not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
                point["status"] = "not_finite"
            else:
                params, batch_stats = variables
                context = {"batch_stats": batch_stats, "beta": beta}
                values = measure(params, context, jax.random.key(spec["seed"]))
                point["values"] = _finite_or_null(values)
                if any(not math.isfinite(values[quantity]) for quantity in entry.quantities):
                    point["status"] = "not_finite"
            points.append(point)
            report(f"{at}: {point['status']}, {len(points)} of {len(spec['at'])}")
    return points, data


def make_problem(
    run_spec: Mapping[str, Any], spec: Mapping[str, Any], dataset: Dataset
) -> tuple[Problem, dict[str, Any]]:
    """The model of a run in the measurement's BatchNorm mode, as functions, with its examples, and the account of those.

    ``batch_norm: train`` normalises with the statistics of each batch, as functions of the parameters, as in a training step;
    ``evaluate`` with the running averages, as constants.
    """
    make_model = model_factory(run_spec, dataset.classes)
    train = spec["batch_norm"] == "train"
    replaced = {**run_spec["activation"], "second_derivative": spec["second_derivative"]}

    def activation(context: Context, x: Array) -> Array:
        return activations.from_spec(replaced, context["beta"])(x)

    def apply(params: Params, context: Context, inputs: Array, phi: Callable[[Array], Array]) -> Array:
        variables = {"params": params, "batch_stats": context["batch_stats"]}
        model = make_model(activation=phi)
        if train:
            return model.apply(variables, inputs, train=True, mutable=["batch_stats"])[0]
        return model.apply(variables, inputs, train=False)

    def logits_fn(params: Params, context: Context, inputs: Array) -> Array:
        return apply(params, context, inputs, lambda x: activation(context, x))

    def preactivations_fn(params: Params, context: Context, inputs: Array) -> list[Array]:
        seen: list[Array] = []

        def recording(x: Array) -> Array:
            seen.append(x)
            return activation(context, x)

        apply(params, context, inputs, recording)
        return seen

    batches, together, account = _batches(run_spec, spec, dataset)
    loss_fn = loss_function(run_spec)
    return Problem(logits_fn, preactivations_fn, activation, loss_fn, batches, together), account


def _batches(
    run_spec: Mapping[str, Any], spec: Mapping[str, Any], dataset: Dataset
) -> tuple[tuple[Batch, ...], int, dict[str, Any]]:
    """What is measured on: the first examples of a permutation of the split, drawn from the measurement's seed.

    Returns:
      Batches that are each normalised by themselves; how many of these belong together; and what is recorded of them.
    """
    examples = dataset.sizes[SETS.index(spec["split"])]
    group, size = sizes(run_spec, spec)
    order = np.random.default_rng(spec["seed"]).permutation(examples)[: spec["examples"]]
    count = len(order) // size
    if count == 0:
        raise UserError(
            f"measurement of {spec['kind']}: {len(order)} examples of {spec['split']} fill no batch of {size}; "
            "lower batch_size or raise examples"
        )
    taken = (dataset.take(spec["split"], part) for part in order[: count * size].reshape(-1, group))
    batches = tuple((jnp.asarray(x), jnp.asarray(y)) for x, y in taken)
    normalized = spec["batch_norm"] == "train" and MODELS[run_spec["model"]["name"]].mixes_examples(run_spec["model"])
    account = {
        "sha256": dataset.sha256,
        "split": spec["split"],
        "examples": count * size,
        "of": examples,
        "batch_size": size,
        "batches": count,
        "batch_norm_group": group if normalized else None,
    }
    return batches, size // group, account


def _initial(run_spec: Mapping[str, Any], dataset: Dataset) -> Variables:
    """Where the run began: initialised again from its seed."""
    examples = dataset.sizes[0]
    program = make_program(run_spec, dataset.classes, examples, dataset.scaling)
    hyper = hyperparameters(run_spec, examples)
    state = jax.jit(program.init)(np.uint32(run_spec["seed"]), hyper, dataset.example)
    return state.params, state.batch_stats


def _finite_or_null(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite_or_null(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite_or_null(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
