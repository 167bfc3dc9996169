"""What is computed, as typed values: the recipe of a training, a measurement, a landscape.

Each is made from a canonical spec, the JSON that a study's loader has checked and completed and that an id is taken of. A field
is the study's key of that name; ``config/README.md`` says what each means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """An entry of the registry, with its options."""

    name: str
    options: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Activation(Choice):
    """An activation φ, and what its second derivative is replaced by; None: by nothing."""

    second_derivative: Choice | None = None


@dataclass(frozen=True)
class Method(Choice):
    """A method with its strength, ρ or σ²."""

    strength: float = 0.0

    @property
    def m(self) -> int | None:
        """Examples of a group; None: the whole batch is one."""
        return self.options.get("m")


@dataclass(frozen=True)
class Validation:
    """The share of the training examples that is held out, and the seed that draws them."""

    fraction: float
    seed: int


@dataclass(frozen=True)
class Subset:
    """How many examples are kept of those to train on, and of the test set; None: all."""

    train: int | None
    test: int | None


@dataclass(frozen=True)
class LabelNoise:
    """The share of the labels to train with that are wrong, and the seed that draws which, and what they are."""

    fraction: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Optimizer(Choice):
    """What descends, with the schedule, decay and clipping that all of them have; ``options`` are its own."""

    learning_rate: float
    reference_batch_size: int | None
    weight_decay: float
    decayed: str
    decay_in_loss: bool
    warmup_epochs: float
    warmup_from: float
    clip_norm: float | None

    @property
    def numbers(self) -> dict[str, float]:
        """Its options that a grid may vary in one compiled step: the real numbers."""
        return {key: value for key, value in self.options.items() if isinstance(value, float)}

    @property
    def switches(self) -> Json:
        """Its other options."""
        return _without(self.options, *self.numbers)


@dataclass(frozen=True)
class Training:
    """Length, batches and evaluations of a training."""

    epochs: int
    batch_size: int
    accumulate: int
    batch_norm_group: int | None
    precision: str
    matmul_precision: str
    deterministic: bool
    evaluate_every: int
    evaluate_last: int
    evaluate_train: int | None

    @property
    def examples_at_once(self) -> int:
        """The size of the parts of a batch that are taken one after another."""
        return self.batch_size // self.accumulate


@dataclass(frozen=True)
class Recipe:
    """A training: all that decides its numbers, but for the code."""

    data: Choice
    validation: Validation
    subset: Subset
    label_noise: LabelNoise
    augmentation: Choice
    model: Choice
    activation: Activation
    loss: Choice
    method: Method
    optimizer: Optimizer
    training: Training
    seed: int


@dataclass(frozen=True)
class Measurement:
    """A measurement of a trained model; ``options`` are those of its kind."""

    kind: str
    at: tuple[int | str, ...]
    split: str
    examples: int
    batch_size: int | None
    batch_norm: str
    seed: int
    second_derivative: Choice | None
    options: Json


@dataclass(frozen=True)
class Landscape:
    """Loss and curvature over two weights of a small MLP."""

    model: Choice
    activation: Activation
    loss: Choice
    inputs: int
    outputs: int
    layer: int
    weights: tuple[tuple[int, int], tuple[int, int]]
    range: tuple[float, float]
    points: int
    seed: int


def choice(spec: Json, *besides: str) -> Choice:
    """Of ``{"name": …, options…}``; keys ``besides`` are no options."""
    return Choice(spec["name"], _without(spec, "name", *besides))


def activation(spec: Json) -> Activation:
    """Of ``{"name": …, options…, "second_derivative": null | {"name": …, options…}}``."""
    replacement = spec.get("second_derivative")
    options = _without(spec, "name", "second_derivative")
    return Activation(spec["name"], options, None if replacement is None else choice(replacement))


def optimizer(spec: Json) -> Optimizer:
    """Of the ``optimizer`` of a setup."""
    shared = {field.name: spec[field.name] for field in fields(Optimizer) if field.name not in ("name", "options")}
    return Optimizer(spec["name"], _without(spec, "name", *shared), **shared)


def training(spec: Json) -> Training:
    """Of the ``training`` of a setup."""
    return Training(**spec)


def recipe(spec: Json) -> Recipe:
    """Of the canonical spec of a run."""
    return Recipe(
        data=choice(spec["data"]),
        validation=Validation(**spec["validation"]),
        subset=Subset(**spec["subset"]),
        label_noise=LabelNoise(**spec["label_noise"]),
        augmentation=choice(spec["augmentation"]),
        model=choice(spec["model"]),
        activation=activation(spec["activation"]),
        loss=choice(spec["loss"]),
        method=Method(spec["method"]["name"], _without(spec["method"], "name", "strength"), spec["method"]["strength"]),
        optimizer=optimizer(spec["optimizer"]),
        training=training(spec["training"]),
        seed=spec["seed"],
    )


def shape(recipe: Recipe) -> Recipe:
    """A recipe without what lists vary in one compiled step, where it is traced: seed, strength and β."""
    return replace(
        recipe,
        seed=0,
        method=replace(recipe.method, strength=0.0),
        activation=replace(recipe.activation, options=_without(recipe.activation.options, "beta")),
    )


def measurement(spec: Json) -> Measurement:
    """Of the canonical spec of a measurement."""
    common = {key: spec[key] for key in ("kind", "split", "examples", "batch_size", "batch_norm", "seed")}
    replacement = spec["second_derivative"]
    return Measurement(
        **common,
        at=tuple(spec["at"]),
        second_derivative=None if replacement is None else choice(replacement),
        options=_without(spec, "at", "second_derivative", *common),
    )


def landscape(spec: Json) -> Landscape:
    """Of the canonical spec of a landscape."""
    first, second = map(tuple, spec["weights"])
    low, high = spec["range"]
    return Landscape(
        model=choice(spec["model"]),
        activation=activation(spec["activation"]),
        loss=choice(spec["loss"]),
        weights=(first, second),
        range=(low, high),
        **{key: spec[key] for key in ("inputs", "outputs", "layer", "points", "seed")},
    )


def _without(spec: Json, *keys: str) -> Json:
    return {key: value for key, value in spec.items() if key not in keys}
