"""The kinds of thing that a study may name, and what is known of each: where its code is, and which options it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

Schema = Mapping[str, Any]

COUNTED = 2**31 - 1  # what JAX counts to without 64 bits
SEED: Schema = {
    "minimum": 0,
    "maximum": 2**32 - 1,
}  # what a jax.random.key takes without 64 bits, and NumPy's old generator


@dataclass(frozen=True)
class Entry:
    """Code that a study can name.

    Attributes:
      target: ``module:attribute`` of the code.
      options: option name -> JSON Schema fragment; a fragment without ``default`` is a required option.
      label: its name in figures; "": that of the registry.
      check: raises :class:`ValueError`, whose text says what would do, for options that do not go together; None: all do.
    """

    target: str
    options: Mapping[str, Schema] = field(default_factory=dict)
    label: str = field(default="", kw_only=True)
    check: Callable[[Mapping[str, Any]], None] | None = field(default=None, kw_only=True)

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def load(self) -> Callable[..., Any]:
        """Imports and returns the code."""
        return load_target(self.target)


def load_target(target: str) -> Callable[..., Any]:
    """Imports and returns ``module:attribute``."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True)
class Strength:
    """How strongly a method acts: a key of experiments and claims, and an axis of figures.

    Attributes:
      symbol: of figures, ``ρ``.
      meaning: of the key in a study, ``strengths ρ of SAM and gradient penalties``.
      example: values of the key.
      compared: what a claim may write in its place.
      title: of an axis, where the methods that are drawn have none of their own.
    """

    symbol: str
    meaning: str
    example: tuple[float, ...] = (0, 0.1)
    compared: Any = 0.1
    title: str = "strength"


@dataclass(frozen=True)
class Method(Entry):
    """A training method.

    Attributes:
      strength: the study's key for its strength (``rho``, ``sigma2``, or an extension's), or None for a method without one.
      second_order: whether an update depends on the activation's second derivative. Where it does not, replacing
        that derivative changes nothing, and runs that differ only in it are one run.
      loss: the only loss that it is right for, or None where any will do.
      per_example: whether it takes gradients of single examples, which do not exist where BatchNorm mixes a batch.
      pair: whether it takes the model twice, as it is and with φ'' := 0.
      difference: its option that is the length of a finite difference of gradients, or None.
      cost, cost_per_sample: of a step, in gradients of SGD, by XLA's count of FLOPs (``benchmarks/step_cost.py``).
    """

    strength: str | None = None
    second_order: bool = False
    loss: str | None = None
    per_example: bool = False
    pair: bool = False
    difference: str | None = None
    cost: float = 1.0
    cost_per_sample: float = 0.0

    def step_cost(self, spec: Mapping[str, Any], parameters: int | None = None) -> float:
        """About what a step costs, in gradients of SGD, with the options of a canonical spec.

        Args:
          parameters: of the model, where that is known; a sum over basis vectors has a sample for each.
        """
        samples = spec.get("samples", 0)
        return self.cost + self.cost_per_sample * (parameters or samples if spec.get("probe") == "basis" else samples)


@dataclass(frozen=True)
class Model(Entry):
    """A model.

    Attributes:
      batch_norm: whether it normalises over a batch; None: its option ``batch_norm`` says so.
      halvings: how often strides have halved the sides of an example where BatchNorm comes last, by a canonical spec; None: it
        normalises features that have no positions.
      axes: of an example that it takes: 3 for images; None: any.
      small: options of the smallest that is still one of its kind, to try a study out.
    """

    batch_norm: bool | None = None
    halvings: Callable[[Mapping[str, Any]], int] | None = None
    axes: int | None = None
    small: Mapping[str, Any] = field(default_factory=dict)

    def mixes_examples(self, spec: Mapping[str, Any]) -> bool:
        """Whether the logits of an example depend on the rest of its batch in training."""
        return bool(spec["batch_norm"] if self.batch_norm is None else self.batch_norm)

    def positions(self, spec: Mapping[str, Any], shape: tuple[int, ...]) -> int:
        """Values of a feature that one example gives BatchNorm where they are fewest, for examples of a shape."""
        if self.halvings is None:
            return 1
        sides = shape[:-1] or shape  # the last axis of images is that of channels; sequences have none
        return math.prod(-(-side // 2 ** self.halvings(spec)) for side in sides)


@dataclass(frozen=True)
class Data(Entry):
    """A data set.

    Attributes:
      shape: of one example.
      classes: number of labels.
      examples: (training, test) examples of a canonical spec of it.
      source: what the study's ``sources`` may give a folder of: ``archives``, the original downloads; ``prepared``, what
        tensorflow-datasets made of them; or ``files``, a file or folder of the user's, whose content is part of what the
        data set is. None: it is made from nothing.
      streamed: whether it is read from its source all along a training, and not kept on the device.
      reader: code that opens what was prepared: (path, spec of a run, folder of the source or None) -> data set.
      feed: code that gives a training its examples: (data set, spec of a run, layout of devices) -> feed.
    """

    shape: tuple[int, ...] = ()
    classes: int = 10
    examples: Callable[[Mapping[str, Any]], tuple[int, int]] = lambda spec: (0, 0)
    source: str | None = None
    streamed: bool = False
    reader: str = "nmepkg.data.store:read"
    feed: str = "nmepkg.training.feed:Resident"


@dataclass(frozen=True)
class Augmentation(Entry):
    """How training examples are varied.

    Attributes:
      streamed: whether it is for data that are streamed, or else for images on the device; None: for all data.
    """

    streamed: bool | None = False


@dataclass(frozen=True)
class Measurement(Entry):
    """What can be measured of a trained model. Besides its own options it has those of every measurement, schema.MEASUREMENT.

    Attributes:
      quantities: the numbers that a figure may draw; a mapping has their titles with it.
      figure: the kind of figure that draws them.
      optimizer: the only one that it is right for, or None where any will do.
    """

    quantities: Collection[str] = ()
    figure: str = "curve"
    optimizer: str | None = None
