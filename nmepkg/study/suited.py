"""Checks of a setup against what is done with it: the methods that train it, and what is measured of it."""

from __future__ import annotations

from nmepkg import specs
from nmepkg.measurement.batches import sizes
from nmepkg.methods.limits import BASIS, LEAST_STEP, MOST_PARAMETERS
from nmepkg.registry import MEASUREMENTS, METHODS, MODELS
from nmepkg.study.checks import StudyError
from nmepkg.study.setups import classes, counts, data_shape, single
from nmepkg.study.sizes import parameters
from nmepkg.study.spec import Spec


def refuse_unsuited(method: Spec, setup: str, spec: Spec, where: str) -> None:
    """Refuses a method that data, model or loss of a setup make wrong or impossible.

    Raises:
      StudyError: says why, and what would do.
    """
    entry, name = METHODS[method["name"]], method["name"]
    training = spec["training"]
    if m := method.get("m"):
        if training["batch_size"] % m:
            raise StudyError(
                where,
                f"groups of m = {m} do not divide the batch of {training['batch_size']} of setup {setup!r}; choose a divisor",
            )
        part = specs.training(training).examples_at_once
        if m > part and m % part:
            raise StudyError(
                where,
                f"groups of m = {m} cannot be taken in parts of {part} examples, as setups.{setup}.training.accumulate has it; "
                "choose a multiple or fewer",
            )
        if (group := training["batch_norm_group"]) and m % group:
            raise StudyError(
                where,
                f"groups of m = {m} cannot be split into setups.{setup}.training.batch_norm_group, {group}; "
                "choose a multiple of it",
            )
        if m == 1 and (reason := single(spec)):
            raise StudyError(where, f"groups of m = 1 of setup {setup!r}: one example {reason}")
    if method.get("probe") == BASIS:
        _refuse_basis(method, setup, spec, where)
    if (option := entry.difference) is not None:
        step = method[option] if option in method else entry.options[option]["default"]
        products = training["matmul_precision"]
        if step < (least := LEAST_STEP[products]):
            raise StudyError(
                where,
                f"{name!r} subtracts gradients {step:g} apart, which the products of setup {setup!r}, in {products}, drown in "
                f"rounding; raise {option} to {least:g} or more, or set setups.{setup}.training.matmul_precision to "
                "float32",
            )
    if entry.loss not in (None, spec["loss"]["name"]):
        raise StudyError(
            where,
            f"{name!r} is right for the loss {entry.loss!r} only, and setup {setup!r} has {spec['loss']['name']!r}; "
            "take another method or setup",
        )
    if entry.loss is not None and spec["optimizer"]["decay_in_loss"]:
        raise StudyError(
            where,
            f"{name!r} is right for the loss {entry.loss!r} alone, and setups.{setup}.optimizer.decay_in_loss adds "
            "the decay to it; set that to false, or take 'gn_trace_hutchinson'",
        )
    if entry.per_example and MODELS[spec["model"]["name"]].mixes_examples(spec["model"]):
        raise StudyError(
            where,
            f"{name!r} takes gradients of single examples, which BatchNorm mixes in setup {setup!r}; use 'gn_trace'",
        )


def _refuse_basis(method: Spec, setup: str, spec: Spec, where: str) -> None:
    """A sum over all basis vectors that is taken twice, or of too many; of models that are not counted here the job says so."""
    name, samples = method["name"], method.get("samples", 1)
    if samples != 1:
        raise StudyError(where, f"{name!r} takes every basis vector once, and samples is {samples}; leave it out")
    held = _parameters(spec)
    if held is not None and held > MOST_PARAMETERS:
        raise StudyError(
            where,
            f"{name!r} takes a pass for each basis vector, of {MOST_PARAMETERS} parameters at most, and the model of setup "
            f"{setup!r} has {held}; take another probe or a smaller model",
        )


def _parameters(spec: Spec) -> int | None:
    return parameters(spec["model"], data_shape(spec["data"]), classes(spec["data"]))


def refuse_unmeasurable(name: str, measurement: Spec, setup: str, spec: Spec, where: str) -> None:
    """Refuses a measurement of what a setup does not have.

    Raises:
      StudyError: says what is missing.
    """
    right = MEASUREMENTS[measurement["kind"]].optimizer
    if right not in (None, spec["optimizer"]["name"]):
        raise StudyError(
            where,
            f"{name!r} is right for the optimizer {right!r} only, and setup {setup!r} has {spec['optimizer']['name']!r}; "
            "take another measurement or setup",
        )
    steps = counts(spec).steps
    for at in measurement["at"]:
        if isinstance(at, int) and at > steps:
            raise StudyError(
                where,
                f"{name!r} measures at step {at}, beyond the {steps} of setup {setup!r}; lower it, or write a share, as 40%",
            )
    if measurement["split"] == "validation" and counts(spec).validation == 0:
        raise StudyError(
            where, f"{name!r} needs validation examples, and setups.{setup}.validation.fraction leaves none; raise it"
        )
    held = _parameters(spec)
    if held is not None and held > measurement.get("max_parameters", held):
        raise StudyError(
            where,
            f"the model of setup {setup!r} has {held} parameters, more than measurements.{name}.max_parameters; raise it, or "
            "measure a smaller model",
        )
    there = getattr(counts(spec), measurement["split"])
    taken = min(there, measurement["examples"] or there)
    size = sizes(specs.training(spec["training"]), specs.choice(spec["model"]), measurement["batch_size"]).batch
    if taken < size:
        raise StudyError(
            where,
            f"{name!r} takes {taken} examples of {measurement['split']}, which fill no batch of {size} of setup {setup!r}; "
            f"lower measurements.{name}.batch_size or raise its examples",
        )
    if size == 1 and measurement["batch_norm"] == "train" and (reason := single(spec)):
        raise StudyError(where, f"{name!r} takes batches of 1 of setup {setup!r}: one example {reason}")
