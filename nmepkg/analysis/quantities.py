"""What figures call the numbers that they draw, metrics of an evaluation and quantities of a measurement, and their bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nmepkg.analysis.labels import number
from nmepkg.registry import MEASUREMENTS

METRIC_NAMES = {
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
    "validation_loss": "Validation loss",
    "validation_accuracy": "Validation accuracy",
    "test_loss": "Test loss",
    "test_accuracy": "Test accuracy",
}

_MATRICES = {"H": "the Hessian", "G": "the GN term", "N": "the NME"}
# Title of an axis, and what tells the quantity from others in one panel.
_QUANTITIES = {
    **{f"tr_{part}": (f"Trace of {name}, tr {part}", f"tr {part}") for part, name in _MATRICES.items()},
    **{
        f"tr_{part}_variance": (f"Variance of an estimate of tr {part} from one probe", f"variance of tr {part}")
        for part in _MATRICES
    },
    **{
        f"{end}_eigenvalue_{part}": (f"{end.capitalize()} eigenvalue of {name}", f"{end} of {part}")
        for part, name in _MATRICES.items()
        for end in ("largest", "smallest")
    },
    "gradient_norm": ("Norm of the gradient g", "g"),
    **{f"norm_{part}": (f"Norm of {part} ĝ", f"{part} ĝ") for part in _MATRICES},
    **{f"cosine_{part}": (f"Cosine of {part} ĝ and the gradient", f"{part} ĝ") for part in _MATRICES},
    **{
        f"{what}_N_{part}": (f"{title} N ĝ, {name}", name)
        for what, title in (("norm", "Norm of"), ("cosine", "Cosine with the gradient of"))
        for part, name in (("activation", "part through φ″"), ("rest", "the rest of N"))
    },
    **{f"gap_{part}": (f"Relative gap ‖D − {part} ĝ‖/‖D‖", f"{part} ĝ") for part in _MATRICES},
    **{f"agreement_{part}": (f"Cosine of {part} ĝ and the gradient's change", f"{part} ĝ") for part in _MATRICES},
    **{f"ratio_{part}": (f"Norm of {part} ĝ over that of the gradient's change", f"{part} ĝ") for part in _MATRICES},
    "fraction_crossed": ("Fraction of units that change sign", "units that change sign"),
    "fraction_zero": ("Fraction of units with φ″ exactly zero", "φ″ exactly zero"),
    "worst_case": ("Worst-case sharpness", "worst case"),
    "average": ("Average-case sharpness", "average"),
    "sharpness": ("Sharpness, the largest eigenvalue of the Hessian", "sharpness"),
    "threshold": ("Edge of stability of the optimiser", "edge of stability"),
    "ratio": ("Sharpness over the edge of stability", "sharpness / edge"),
    "loss_along_g": ("Change of the loss along the gradient", "along ĝ"),
    **{f"loss_along_{part}": (f"Change of the loss along {part} ĝ", f"along {part} ĝ") for part in "HN"},
    **{
        f"loss_along_top_{part}": (
            f"Change of the loss along the top eigenvector of {part}",
            f"along the top of {part}",
        )
        for part in "HG"
    },
    "loss_plane": ("Loss over a plane", "loss"),
    "accuracy_plane": ("Accuracy over a plane", "accuracy"),
    **{
        f"overlap_{vector}_{part}": (f"Share of {name} in the top eigenspace of {part}", f"{name} in the top of {part}")
        for part in "HG"
        for vector, name in (
            ("g", "g"),
            ("H", "H ĝ"),
            ("N", "N ĝ"),
            ("sam", "SAM's step"),
            ("psam", "PSAM's step"),
            ("missed", "what PSAM misses of SAM's step"),
        )
    },
    "fraction_dead": ("Fraction of units with φ′ zero on every example", "dead"),
    "fraction_flat": ("Fraction of activations with φ′ zero", "φ′ zero"),
    "share_diagonal": ("Share of the NME on the diagonal", "on the diagonal"),
    "share_within_layers": ("Share of the NME within layers, off the diagonal", "within layers, off the diagonal"),
    "share_between_layers": ("Share of the NME between layers", "between layers"),
}
# One name, another meaning: the matrix itself, not its product with a vector.
_FROBENIUS = ("Frobenius norm of the NME", "Frobenius norm of N")

# What several quantities of one kind are, by a word of their names.
_FAMILIES = {
    "variance": "Variance",
    "accuracy": "Accuracy",
    "along": "Change of the loss",
    "loss": "Loss",
    "tr": "Trace",
    "fraction": "Fraction of units",
    "eigenvalue": "Eigenvalue",
    "cosine": "Cosine",
    "norm": "Norm",
    "share": "Share of the NME",
    "gap": "Relative gap",
    "agreement": "Cosine",
    "overlap": "Share in the top eigenspace",
    "sharpness": "Sharpness",
    "threshold": "Sharpness",
    "ratio": "Ratio",
    "case": "Sharpness",
    "average": "Sharpness",
}

# Which evaluation a metric is of, where it isn't the last one.
_REPORTS = {"final": "", "best_validation": " at best validation", "median_last": ", median of the last epochs"}


def metric_title(name: str, report: str, measured: Mapping[str, Any] | None = None) -> str:
    """``Test accuracy (%)``, ``Trace of the Hessian, tr H``; says so where the evaluation isn't the last one.

    Args:
      measured: the spec of the measurement that the quantity is from, or None for a metric of an evaluation.
    """
    if measured is not None:
        if name == "fraction_above":
            return f"Fraction of units with {_above(measured)}"
        return _names(name, measured)[0]
    title = METRIC_NAMES.get(name) or _plain(name)
    title += _REPORTS[report]
    return f"{title} (%)" if is_accuracy(name) else title


def common_title(names: Sequence[str], report: str, measured: Mapping[str, Any] | None = None) -> str:
    """The title of an axis that several quantities share: ``Trace``, ``Accuracy (%)``, or what they have in common."""
    if len(names) == 1:
        return metric_title(names[0], report, measured)
    families = {_family(name) for name in names}
    title = families.pop() if len(families) == 1 else "Value"
    if measured is None:
        title += _REPORTS[report]
    return f"{title} (%)" if all(is_accuracy(name) for name in names) else title


def quantity_label(name: str, measured: Mapping[str, Any] | None = None) -> str:
    """A quantity beside others in a legend: ``tr H``, ``|φ″| above 1 % of its maximum``, ``Test accuracy``."""
    if measured is None:
        return METRIC_NAMES.get(name) or _plain(name)
    return _above(measured) if name == "fraction_above" else _names(name, measured)[1]


def is_accuracy(name: str) -> bool:
    """Whether a metric is a share of right answers, which is shown in per cent."""
    return name.endswith("accuracy")


def bounds(names: Sequence[str]) -> tuple[float, float]:
    """What the quantities can be: an accuracy or a share lies in [0, 1], a loss, norm or rise at worst isn't negative."""
    each = [_bounds(name) for name in names]
    return min(low for low, _ in each), max(high for _, high in each)


def _bounds(name: str) -> tuple[float, float]:
    if is_accuracy(name) or name.startswith(("fraction_", "share_", "overlap_")):
        return 0.0, 1.0
    if name.startswith(("cosine_", "agreement_")):
        return -1.0, 1.0
    if name.endswith(("_loss", "_variance")) or name.startswith(("gap_", "ratio_")):
        return 0.0, math.inf
    if name in ("worst_case", "threshold") or "norm" in name.split("_"):
        return 0.0, math.inf
    return -math.inf, math.inf


def _above(measured: Mapping[str, Any]) -> str:
    threshold = float(measured["threshold"])
    return f"|φ″| above {f'{number(100 * threshold)} % of its maximum' if measured['relative'] else number(threshold)}"


def _family(name: str) -> str:
    words = name.split("_")
    return next((title for word, title in _FAMILIES.items() if word in words), "Value")


def _names(name: str, measured: Mapping[str, Any]) -> tuple[str, str]:
    if name == "norm_N" and measured["kind"] == "nme_blocks":
        return _FROBENIUS
    known = MEASUREMENTS[measured["kind"]].quantities if measured["kind"] in MEASUREMENTS else ()
    title = known[name] if isinstance(known, Mapping) and name in known else _plain(name)
    return _QUANTITIES.get(name, (title, title))


def _plain(name: str) -> str:
    """What the registry calls it, as a text."""
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]
