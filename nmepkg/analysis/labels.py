"""What figures call things: methods, activations, axes, numbers.

A study overrides the name of a method or activation with ``label``. Whatever isn't listed here goes by its name in
the registry, so a new entry needs no change here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib import rcParams
from matplotlib.cbook import is_math_text

from nmepkg.entries import Entry
from nmepkg.registry import ACTIVATIONS, METHODS, OPTIMIZERS, SECOND_DERIVATIVES, STRENGTHS

METHOD_NAMES = {
    "sgd": "SGD",
    "sam": "SAM",
    "usam": "USAM",
    "asam": "ASAM",
    "functional_sam": "Functional SAM",
    "psam": "PSAM",
    "pusam": "PUSAM",
    "gradient_penalty": "Gradient penalty",
    "psam_gn": "PSAM, G only",
    "psam_nme": "PSAM, N only",
    "psam_activation_nme": "PSAM, part of N through φ″ only",
    "psam_fd": "PSAM, finite difference",
    "weight_noise": "Weight noise",
    "hessian_trace": "Penalty on tr H",
    "nme_trace": "Penalty on tr N",
    "gn_trace": "Penalty on tr G (sampled labels)",
    "gn_trace_hutchinson": "Penalty on tr G (Hutchinson)",
    "gn_trace_exact": "Penalty on tr G (exact)",
}

OPTIMIZER_NAMES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}

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

_SYMBOLS = {
    "radius": "ρ",
    "beta": "β",
    "negative_slope": "slope",
    "learning_rate": "η",
    "second_derivative.beta": "β",
}

AXIS_NAMES = {
    "beta": "Sharpness β of β-GELU",
    "second_derivative.beta": "Sharpness β of the synthetic φ″",
    "step": "Training step",
    "radius": "Distance ρ",
}

# u and v of a plane, by what it is laid.
DIRECTIONS = {
    **{
        f"top_{part}": (f"Along the top eigenvector of {part}", f"Along the second eigenvector of {part}")
        for part in "HGN"
    },
    "g_and_top_H": ("Along ĝ", "Along the top eigenvector of H"),
    "filter_normalized": ("Along a random direction $u$", "Along a random direction $v$"),
}

# What a strength is to the methods that have it: ρ of SAM is how far a step goes, σ² of noise its variance.
_STRENGTHS = {
    **dict.fromkeys(("sam", "usam", "asam", "functional_sam"), "perturbation radius"),
    "weight_noise": "noise variance",
}

_MATHS = {
    "ρ": r"\rho",
    "β": r"\beta",
    "σ": r"\sigma",
    "σ²": r"\sigma^2",
    "φ": r"\varphi",
    "φ″": r"\varphi''",
    "φ''": r"\varphi''",
    "ĝ": r"\hat{g}",
    "η": r"\eta",
}

_PLACES = {"initial": "At initialisation", "final": "After training"}
_VALUES = {"gaussian": "Gaussian", "rademacher": "Rademacher"}


def optimizer_label(optimizers: Collection[str]) -> str:
    """What training without a method is called, the method ``sgd``: ``SGD``, ``AdamW``; ``No method`` by several optimisers."""
    if len(optimizers) > 1:
        return "No method"
    (name,) = optimizers
    return _name(OPTIMIZER_NAMES, name, OPTIMIZERS.get(name))


def method_label(method: Mapping[str, Any], optimizers: Collection[str] = ("sgd",)) -> str:
    """``PSAM``, ``Penalty on tr G (Hutchinson, samples = 5)``, and with a strength ``PSAM (ρ = 0.1)``.

    Options that are what they are by default aren't shown.

    Args:
      optimizers: names of those that it is drawn with, each once.
    """
    if method.get("label"):
        return str(method["label"])
    name = method["name"]
    if name == "sgd":
        return optimizer_label(optimizers)
    entry = METHODS.get(name)
    options = [*_shown_options(method, entry, {*STRENGTHS, "strength"})]
    if "strength" in method and entry is not None and entry.strength is not None:
        options.append(f"{symbol(entry.strength)} = {number(method['strength'])}")
    return _with_options(_name(METHOD_NAMES, name, entry), options)


def activation_label(activation: Mapping[str, Any]) -> str:
    """``GELU``, ``GELU, φ″ := 0``, ``ReLU, synthetic φ″ (β = 100)``."""
    if activation.get("label"):
        return str(activation["label"])
    base = base_activation_label(activation)
    second = activation.get("second_derivative")
    return base if second is None else f"{base}, {second_derivative_label(second)}"


def second_derivative_label(second: Mapping[str, Any] | str | None) -> str:
    """``φ″ := 0``, ``synthetic φ″ (β = 100)``; ``φ″`` where nothing replaces it."""
    if second is None:
        return "φ″"
    if isinstance(second, str):
        second = {**_defaults(SECOND_DERIVATIVES.get(second)), "name": second}
    name = second["name"]
    # All of its options, but one with an axis of its own: none goes without saying, as it is what the figure is about.
    options = _shown_options(second, None, ())
    return _with_options(_name(SECOND_DERIVATIVE_NAMES, name, SECOND_DERIVATIVES.get(name)), options)


def base_activation_label(activation: Mapping[str, Any]) -> str:
    """The activation's name whatever replaces its second derivative."""
    name = activation["name"]
    entry = ACTIVATIONS.get(name)
    options = _shown_options(activation, entry, {"second_derivative"})
    return _with_options(_name(ACTIVATION_NAMES, name, entry), options)


def symbol(axis: str) -> str:
    """``ρ``, ``β``; of what has no symbol its name, as a text."""
    if axis in STRENGTHS:
        return STRENGTHS[axis].symbol
    return _SYMBOLS.get(axis, axis.replace("_", " "))


def _name(names: Mapping[str, str], name: str, entry: Entry | None) -> str:
    """What figures call an entry: an extension says it itself."""
    return names.get(name) or (entry.label if entry else "") or name


def _shown_options(entry: Mapping[str, Any], registered: Entry | None, hidden: Collection[str]) -> list[str]:
    """``p = 3``, and a switch as ``antithetic`` or ``no normalization``; an option at its default isn't shown."""
    defaults = _defaults(registered)
    shown = []
    for key, value in entry.items():
        if key in {"name", "label"} or key in hidden or value is None or (key in defaults and defaults[key] == value):
            continue
        name = symbol(key)
        if isinstance(value, bool):
            shown.append(name if value else f"no {name}")
        else:
            shown.append(f"{name} = {number(value) if _is_number(value) else _VALUES.get(value, value)}")
    return shown


def _defaults(registered: Entry | None) -> dict[str, Any]:
    options = registered.options if registered is not None else {}
    return {key: schema["default"] for key, schema in options.items() if "default" in schema}


def _with_options(name: str, options: Sequence[str]) -> str:
    """One pair of parentheses, also where the name ends in its own."""
    if not options:
        return name
    return f"{name[:-1]}, {', '.join(options)})" if name.endswith(")") else f"{name} ({', '.join(options)})"


def place_label(at: str | int) -> str:
    """Where in a run something was measured: ``At initialisation``, ``After training``, ``Step 600``."""
    return _PLACES.get(str(at), f"Step {at}")


def axis_title(name: str, measured: bool = False, methods: Collection[str] = ()) -> str:
    """The title of x: ``Perturbation radius or penalty strength ρ`` of SAM and PSAM, ``Penalty strength ρ`` of PSAM alone.

    Args:
      measured: whether a measurement is drawn: ``step`` is that of training then, elsewhere that of a finite difference.
      methods: names of the methods that are drawn.
    """
    if name in STRENGTHS:
        known = [method for method in methods if method in METHODS and METHODS[method].strength == name]
        meanings = dict.fromkeys(_STRENGTHS.get(method, STRENGTHS[name].title) for method in known) or ("strength",)
        return f"{' or '.join(meanings).capitalize()} {symbol(name)}"
    if name == "step" and not measured:
        return "Step of the finite difference"
    return AXIS_NAMES.get(name) or _SYMBOLS.get(name, symbol(name).capitalize())


def number(value: float) -> str:
    """``0.01``, ``100``, ``1e+06``: the same text for equal values."""
    return f"{value:g}"


def drawn(text: str) -> str:
    """A label as a figure shows it: its Greek symbols, and H, G and N alone, as mathematics.

    Text with mathtext of its own stays as it is; a dollar sign that begins none stays a dollar sign. In a style whose SVGs have
    text, symbols are letters: a text with mathematics would be written sign by sign, which no editor takes for words.
    """
    if is_math_text(text):
        return text
    text = re.sub(r"(?<!\\)\$", r"\\$", text)
    if rcParams["svg.fonttype"] == "none":
        return text
    return re.sub(r"φ″|φ''|σ²|[ρβσφηĝ]|\b[HGNg]\b", lambda match: f"${_MATHS.get(match[0], match[0])}$", text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
