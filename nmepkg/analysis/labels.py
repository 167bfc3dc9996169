"""What figures call things: methods, activations, axes, numbers.

A study overrides the name of a method or activation with ``label``. Whatever isn't listed here goes by its name in
the registry, so a new entry needs no change here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from nmepkg.registry import METHODS, SECOND_DERIVATIVES

METHOD_NAMES = {
    "sgd": "SGD",
    "sam": "SAM",
    "usam": "USAM",
    "psam": "PSAM",
    "pusam": "PUSAM",
    "gradient_penalty": "Gradient penalty",
    "psam_gn": "PSAM, G only",
    "psam_nme": "PSAM, N only",
    "psam_fd": "PSAM, finite difference",
}

ACTIVATION_NAMES = {
    "relu": "ReLU",
    "leaky_relu": "Leaky ReLU",
    "silu": "SiLU",
    "softplus": "Softplus",
    "tanh": "tanh",
    "gelu": "GELU",
    "gelu_tanh": "GELU (tanh form)",
    "beta_gelu": "β-GELU",
}

SECOND_DERIVATIVE_NAMES = {
    "zero": "φ″ := 0",
    "gaussian": "synthetic φ″",
    "gaussian_listing": "synthetic φ″ as listed",
}

SYMBOLS = {"rho": "ρ", "sigma2": "σ²", "beta": "β", "negative_slope": "slope", "learning_rate": "η"}

AXIS_NAMES = {
    "rho": "Perturbation radius or penalty strength ρ",
    "sigma2": "Noise variance or penalty strength σ²",
    "beta": "Sharpness β of the activation",
}

_MATHS = {
    "ρ": r"\rho",
    "β": r"\beta",
    "σ": r"\sigma",
    "σ²": r"\sigma^2",
    "φ": r"\varphi",
    "φ″": r"\varphi''",
    "φ''": r"\varphi''",
    "η": r"\eta",
}

METRIC_NAMES = {
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
    "validation_loss": "Validation loss",
    "validation_accuracy": "Validation accuracy",
    "test_loss": "Test loss",
    "test_accuracy": "Test accuracy",
}

STRENGTHS = frozenset(method.strength for method in METHODS.values() if method.strength is not None)


def method_label(method: Mapping[str, Any]) -> str:
    """``PSAM``, ``Gradient penalty (p = 3)``."""
    if method.get("label"):
        return str(method["label"])
    name = method["name"]
    return METHOD_NAMES.get(name, name) + _options(method, {*STRENGTHS, "strength"})


def activation_label(activation: Mapping[str, Any]) -> str:
    """``GELU``, ``GELU, φ″ := 0``, ``ReLU, synthetic φ″ (β = 100)``."""
    if activation.get("label"):
        return str(activation["label"])
    base = base_activation_label(activation)
    second = activation.get("second_derivative")
    if second is None:
        return base
    if isinstance(second, str):
        second = {"name": second}
    name = second["name"]
    entry = SECOND_DERIVATIVES.get(name)
    defaults = {
        key: schema["default"] for key, schema in (entry.options if entry else {}).items() if "default" in schema
    }
    return f"{base}, {SECOND_DERIVATIVE_NAMES.get(name, name)}{_options({**defaults, **second}, ())}"


def base_activation_label(activation: Mapping[str, Any]) -> str:
    """The activation's name whatever replaces its second derivative."""
    name = activation["name"]
    return ACTIVATION_NAMES.get(name, name) + _options(activation, {"second_derivative"})


def _options(entry: Mapping[str, Any], hidden: Collection[str]) -> str:
    shown = [
        f"{SYMBOLS.get(key, key)} = {number(value) if _is_number(value) else value}"
        for key, value in entry.items()
        if key not in {"name", "label"} and key not in hidden and value is not None
    ]
    return f" ({', '.join(shown)})" if shown else ""


def axis_title(name: str) -> str:
    return AXIS_NAMES.get(name, SYMBOLS.get(name, name.replace("_", " ").capitalize()))


def metric_title(name: str, report: str) -> str:
    """``Test accuracy (%)``; says so where the evaluation isn't the last one."""
    title = METRIC_NAMES.get(name, name.replace("_", " ").capitalize())
    if report == "best_validation":
        title += " at best validation"
    return f"{title} (%)" if is_accuracy(name) else title


def is_accuracy(metric: str) -> bool:
    return metric.endswith("accuracy")


def number(value: float) -> str:
    """``0.01``, ``100``, ``1e+06``: the same text for equal values."""
    return f"{value:g}"


def tick_text(value: float) -> str:
    """A number as a figure shows it: far from 1 as a power of ten, in mathtext."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return number(value)
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    mantissa = f"{value / 10**exponent:g}"
    power = f"10^{{{exponent}}}"
    return f"${power}$" if mantissa == "1" else f"${mantissa}{{\\times}}{power}$"


def drawn(text: str) -> str:
    """A label as a figure shows it: its Greek symbols as mathematics. Text with mathtext of its own stays as it is."""
    if "$" in text:
        return text
    return re.sub("φ″|φ''|σ²|[ρβσφη]", lambda match: f"${_MATHS[match[0]]}$", text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
