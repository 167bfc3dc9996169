"""What a study may name: activations, methods, models, data sets, losses, measurements and kinds of figure, a line each.

An entry says where its code lives (``module:attribute``, imported only when a run needs it) and which options a study
may give it, as JSON Schema fragments with their defaults. This module imports nothing heavy and stays out of the code
hash of a run (only the entries that a run uses go in), so that adding a line invalidates no finished run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """Code that a study can name.

    Attributes:
      target: ``module:attribute`` of the code.
      options: option name -> JSON Schema fragment; a fragment without ``default`` is a required option.
    """

    target: str
    options: Mapping[str, Schema] = field(default_factory=dict)

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    def load(self) -> Callable[..., Any]:
        """Imports and returns the code."""
        module, _, attribute = self.target.partition(":")
        return getattr(import_module(module), attribute)


@dataclass(frozen=True)
class Method(Entry):
    """A training method.

    Attributes:
      strength: the study's key for its strength (``rho``, ``sigma2``), or None for a method without one.
      second_order: whether an update depends on the activation's second derivative. Where it does not, replacing
        that derivative changes nothing, and runs that differ only in it are one run.
      loss: the only loss that it is right for, or None where any will do.
      per_example: whether it takes gradients of single examples, which do not exist where BatchNorm mixes a batch.
    """

    strength: str | None = None
    second_order: bool = False
    loss: str | None = None
    per_example: bool = False


@dataclass(frozen=True)
class Model(Entry):
    """A model.

    Attributes:
      batch_norm: whether it normalises over a batch; None: its option ``batch_norm`` says so.
    """

    batch_norm: bool | None = None

    def mixes_examples(self, spec: Mapping[str, Any]) -> bool:
        """Whether the logits of an example depend on the rest of its batch in training."""
        return bool(spec["batch_norm"] if self.batch_norm is None else self.batch_norm)


@dataclass(frozen=True)
class Measurement(Entry):
    """What can be measured of a trained model. Besides its own options it has those of every measurement, schema.MEASUREMENT.

    Attributes:
      quantities: the numbers that a figure may draw.
    """

    quantities: tuple[str, ...] = ()


def _integer(minimum: int, **extra: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, **extra}


def _positive(**extra: Any) -> dict[str, Any]:
    return {"type": "number", "exclusiveMinimum": 0, **extra}


# The examples of one batch are split into groups of m, each with its own perturbation; null is the whole batch.
_GROUP = {"m": {"type": ["integer", "null"], "minimum": 1, "default": None}}
_PROBE = {"probe": {"enum": ["gaussian", "rademacher"], "default": "gaussian"}}
_PROBES = {"samples": _integer(1, default=1), **_PROBE}

METHODS: dict[str, Method] = {
    "sgd": Method("nmepkg.methods.sgd:sgd"),
    "sam": Method("nmepkg.methods.sam:sam", _GROUP, strength="rho"),
    "usam": Method("nmepkg.methods.sam:usam", _GROUP, strength="rho"),
    "psam": Method("nmepkg.methods.gradient_penalty:psam", _GROUP, strength="rho", second_order=True),
    "pusam": Method("nmepkg.methods.gradient_penalty:pusam", _GROUP, strength="rho", second_order=True),
    "gradient_penalty": Method(
        "nmepkg.methods.gradient_penalty:gradient_penalty",
        {"p": {"type": "number", "minimum": 1}, **_GROUP},
        strength="rho",
        second_order=True,
    ),
    "psam_gn": Method("nmepkg.methods.gradient_penalty:psam_gn", _GROUP, strength="rho"),
    "psam_nme": Method("nmepkg.methods.gradient_penalty:psam_nme", _GROUP, strength="rho", second_order=True),
    "psam_fd": Method(
        "nmepkg.methods.gradient_penalty:psam_fd",
        {"step": _positive(default=1e-2), **_GROUP},
        strength="rho",
    ),
    "weight_noise": Method(
        "nmepkg.methods.weight_noise:weight_noise",
        {
            "antithetic": {"type": "boolean", "default": False},
            "normalization": {"type": "boolean", "default": True},
            **_GROUP,
        },
        strength="sigma2",
    ),
    "hessian_trace": Method(
        "nmepkg.methods.trace_penalty:hessian_trace", {**_PROBES, **_GROUP}, strength="sigma2", second_order=True
    ),
    "nme_trace": Method(
        "nmepkg.methods.trace_penalty:nme_trace", {**_PROBES, **_GROUP}, strength="sigma2", second_order=True
    ),
    "gn_trace_hutchinson": Method(
        "nmepkg.methods.trace_penalty:gn_trace_hutchinson", {**_PROBES, **_GROUP}, strength="sigma2", second_order=True
    ),
    "gn_trace": Method(
        "nmepkg.methods.sampled_labels:gn_trace",
        {
            "samples": _integer(1, default=1),
            "scale_by_batch": {"type": "boolean", "default": True},
            "straight_through": {"type": "boolean", "default": False},
            **_GROUP,
        },
        strength="sigma2",
        second_order=True,
        loss="cross_entropy",
    ),
    "gn_trace_exact": Method(
        "nmepkg.methods.sampled_labels:gn_trace_exact",
        strength="sigma2",
        second_order=True,
        loss="cross_entropy",
        per_example=True,
    ),
}

ACTIVATIONS: dict[str, Entry] = {
    "relu": Entry("nmepkg.activations:relu"),
    "leaky_relu": Entry("nmepkg.activations:leaky_relu", {"negative_slope": {"type": "number", "default": 0.01}}),
    "silu": Entry("nmepkg.activations:silu"),
    "softplus": Entry("nmepkg.activations:softplus"),
    "tanh": Entry("nmepkg.activations:tanh"),
    "gelu": Entry("nmepkg.activations:gelu"),
    "gelu_tanh": Entry("nmepkg.activations:gelu_tanh"),
    "beta_gelu": Entry("nmepkg.activations:beta_gelu", {"beta": _positive()}),
}

# What an activation's `second_derivative` may be replaced by.
SECOND_DERIVATIVES: dict[str, Entry] = {
    "zero": Entry("nmepkg.activations:zero"),
    "gaussian": Entry("nmepkg.activations:gaussian", {"beta": _positive(default=100.0)}),
    "gaussian_listing": Entry("nmepkg.activations:gaussian_listing", {"beta": _positive(default=100.0)}),
}

MODELS: dict[str, Model] = {
    "mlp": Model(
        "nmepkg.models.mlp:MLP",
        {
            "width": _integer(1),
            "depth": _integer(0),
            "batch_norm": {"type": "boolean", "default": False},
        },
    ),
    "resnet1d": Model(
        "nmepkg.models.resnet1d:ResNet1D",
        {
            "width": _integer(1),
            "blocks": {"type": "array", "items": _integer(1), "minItems": 1},
            "kernel_size": _integer(1, default=3),
        },
        batch_norm=True,
    ),
}

DATASETS: dict[str, Entry] = {
    "mnist1d": Entry(
        "nmepkg.data.mnist1d:prepare",
        {
            "seed": _integer(0, default=42),
            "samples": _integer(10, multipleOf=10, default=5000),
        },
    ),
}

LOSSES: dict[str, Entry] = {
    "cross_entropy": Entry(
        "nmepkg.losses:cross_entropy",
        {"label_smoothing": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.0}},
    ),
    "mse": Entry("nmepkg.losses:mse"),
}

MEASUREMENTS: dict[str, Measurement] = {
    "traces": Measurement(
        "nmepkg.measurement.traces:traces",
        {"samples": _integer(2, default=100), "probe": {**_PROBE["probe"], "default": "rademacher"}},
        ("tr_H", "tr_G", "tr_N"),
    ),
    "spectrum": Measurement(
        "nmepkg.measurement.spectrum:spectrum",
        {"steps": _integer(1, default=64), "samples": _integer(1, default=4), "top": _integer(1, default=5)},
        tuple(f"{end}_eigenvalue_{part}" for part in "HGN" for end in ("largest", "smallest")),
    ),
    "alignment": Measurement(
        "nmepkg.measurement.alignment:alignment",
        {},
        ("gradient_norm", *(f"{what}_{part}" for part in "HGN" for what in ("norm", "cosine"))),
    ),
    "second_derivative": Measurement(
        "nmepkg.measurement.second_derivative:second_derivative",
        {"threshold": _positive(default=0.01), "relative": {"type": "boolean", "default": True}},
        ("fraction_above", "fraction_zero"),
    ),
    "nme_blocks": Measurement(
        "nmepkg.measurement.nme_blocks:nme_blocks",
        {"max_parameters": _integer(1, default=20_000), "chunk": _integer(1, default=64)},
        ("norm_N", "share_diagonal", "share_within_layers", "share_between_layers"),
    ),
}

# Kinds of figure: code that draws one from what its runs, measurements or landscapes give.
FIGURES: dict[str, Entry] = {
    "curve": Entry("nmepkg.analysis.figures.curve:draw"),
    "landscape": Entry("nmepkg.analysis.figures.landscape:draw"),
}
