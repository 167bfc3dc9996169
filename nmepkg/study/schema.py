"""JSON Schema of a study. Its entries (a model, a method …) have schemas of their own, joined from the registry's options."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from nmepkg.entries import Entry, Schema
from nmepkg.registry import (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATASETS,
    FIGURES,
    LOSSES,
    MEASUREMENTS,
    METHODS,
    MODELS,
    OPTIMIZERS,
    SECOND_DERIVATIVES,
    STRENGTHS,
)
from nmepkg.study.claim_keys import claim
from nmepkg.study.keys import (
    COUNT,
    ENTRY,
    MEASUREMENT,
    REPORTS,
    SEED_KEY,
    TITLE,
    experiment,
    key,
    listed,
    mapping,
)
from nmepkg.study.setup_keys import OPTIMIZER, SETUP
from nmepkg.study.style_keys import OWN_STYLE, STYLE, WIDTH

__all__ = [
    "ENTRIES", "FIGURE", "MEASUREMENT", "METRICS", "OPTIMIZER", "STRENGTHS", "TAKEN", "entry_schema", "figure", "study",
]  # fmt: skip

VERSION = 1
# Rules of the workflow, and its files beside the figures; a figure's name is a target too, and its files'.
TARGETS = (
    "figures", "measurements", "report", "all", "data", "train", "train_again", "train_together", "trained", "measure",
    "measure_together", "measured", "landscape", "figure", "origin", "claims", "judge", "page",
)  # fmt: skip
FILES = ("study", "versions", "records", "index")
TAKEN = frozenset((*TARGETS, *FILES))
LABEL = 100  # characters of a label in figures
METRICS = tuple(f"{part}_{what}" for part in ("train", "validation", "test") for what in ("accuracy", "loss"))

# Part of file names. Language servers and the loader alike say by its message what is wrong with a text that does not match.
_NAME = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z",
    "patternErrorMessage": "is not a name; use letters, digits, '_' and '-', starting with a letter or digit",
    "maxLength": 100,
}
_AXIS = {"type": ["string", "null"], "default": None}
_PATH = {
    "type": "string",
    "pattern": r"^[\w./][\w./+@=:,-]*\Z",
    "patternErrorMessage": "is not a plain path; use letters, digits and . / _ - without blanks or braces",
    "default": "results",
}
_SOURCE = {"type": "string", "pattern": r"\S", "patternErrorMessage": "is not a path; name a folder"}
_MODULE = {
    "type": "string",
    "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z",
    "patternErrorMessage": "is not a module; write its name as Python imports it, such as mylab.nme",
}


def _named(meaning: str, items: Schema, **extra: Any) -> dict[str, Any]:
    return {"description": meaning, "type": "object", "propertyNames": _NAME, "additionalProperties": items, **extra}


LANDSCAPE = mapping(
    {
        "model": key("an MLP", ENTRY, example={"name": "mlp", "width": 4, "depth": 2}),
        "inputs": key("features of the datapoint", COUNT, example=3),
        "outputs": key("logits", COUNT, default=1, example=2),
        "activations": key("one panel each", listed(ENTRY), example=["relu", {"name": "beta_gelu", "beta": 3}]),
        "seed": key("of initialisation, datapoint and target", SEED_KEY, default=0, example=1),
        "layer": key("the hidden layer whose weights vary, counted from 1", COUNT, default=1, example=2),
        "weights": key(
            "the two weights, [input, unit] each, counted from 0",
            listed(
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2},
                minItems=2,
                maxItems=2,
            ),
            example=[[0, 0], [1, 0]],
        ),
        "range": key(
            "both weights vary from the first number to the second. They are 1e-6 to 1e6 in size, and at least "
            "a thousandth of that apart",
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            example=[-3, 3],
        ),
        "points": key(
            "along each axis", {"type": "integer", "minimum": 2, "maximum": 1001, "default": 101}, example=51
        ),
    },
    ["model", "inputs", "activations", "weights", "range"],
)

_ANY_FIGURE: dict[str, Schema] = {
    "kind": key(
        "what is drawn. `landscape` takes only the keys `landscape`, `title`, `caption`, `width` and `style`. `plane` "
        "draws measurements `loss_plane`, and takes `experiments`, `measurement`, `rows`, `columns`, `panel`, `title`, "
        "`caption`, `width` and `style`",
        {"enum": list(FIGURES), "default": "curve"},
        example="landscape",
    ),
    "title": key("title above the figure", TITLE, default="", example="SAM and PSAM"),
    "caption": key(
        "what is drawn and how to read it; for the page and the report",
        {"type": "string", "maxLength": 10_000, "default": ""},
        example="PSAM follows SAM where …",
    ),
    "width": WIDTH,
    "style": OWN_STYLE,
}
_PANEL = key(
    "draws one panel, or one row or column of them, alone: axis of `rows` or `columns` → its value, written as the experiment "
    "has it, or its label. Nothing else is computed for the figure then",
    {"type": "object", "default": {}, "title": "mapping"},
    example={"setup": "mlp"},
)
_ROWS = key("an axis: what tells panels apart, 40 rows at most, or 8 of planes", _AXIS, example="setup")
_COLUMNS = key("an axis: what tells panels apart, 12 columns at most, or 5 of planes", _AXIS, example="activation")
_EXPERIMENTS = key("experiments whose runs are drawn", listed({"type": "string"}), example=["sam_and_psam"])
FIGURE: dict[str, dict[str, Any]] = {
    "curve": mapping(
        {
            **_ANY_FIGURE,
            "experiments": _EXPERIMENTS,
            "measurement": key(
                "y comes from this measurement, not from the evaluations; each of the experiments must ask for it",
                {"type": ["string", "null"], "default": None},
                example="traces",
            ),
            "x": key(
                "the horizontal axis: a strength (`rho`), an option whose values are all numbers (`beta`), or of a measurement "
                "`step`",
                {"type": "string"},
                example="rho",
            ),
            "y": key(
                "`test_accuracy`, `test_loss`, or the same of `train` and `validation`; of a measurement, its "
                "quantities. Several make the axis `quantity`",
                {
                    "type": ["string", "array"],
                    "items": {"type": "string"},
                    "minItems": 1,
                    "uniqueItems": True,
                    "default": "test_accuracy",
                },
                example=["tr_H", "tr_G"],
            ),
            "rows": _ROWS,
            "columns": _COLUMNS,
            "panel": _PANEL,
            "lines": key("an axis: what tells curves apart, 24 at most", _AXIS, example="method"),
            "x_scale": key(
                "on `log`, a strength of 0 is drawn as a horizontal line; no other value of 0 or below can be "
                "drawn, so neither can `step` with `initial`",
                {"enum": ["log", "linear"], "default": "log"},
                example="linear",
            ),
            "y_scale": key(
                "`symlog` is linear around 0 and logarithmic beyond. Where a number is 0 or below, `log` becomes "
                "`symlog`, and the label says so",
                {"enum": ["linear", "log", "symlog"], "default": "linear"},
                example="symlog",
            ),
            "report": key(
                "which evaluation counts: `final`; `best_validation`: the one of highest validation accuracy, the earliest of "
                "equals; `median_last`: the median of those after the last `evaluate_last` epochs",
                {"enum": list(REPORTS), "default": "final"},
                example="best_validation",
                assumed=True,
            ),
            "differences": key(
                "below each panel another one with the paired differences over seeds, `first_line`: to the first line, or "
                "`strength_0`: to training without the method; with `y_scale: log` they are ratios; null: none",
                {"enum": [None, "first_line", "strength_0"], "default": None},
                example="first_line",
            ),
        },
        ["experiments", "x"],
    ),
    "landscape": mapping(
        {
            **_ANY_FIGURE,
            "landscape": key(
                "the landscape that is drawn; required of that kind", {"type": "string"}, example="two_weights"
            ),
        },
        ["landscape"],
    ),
    "plane": mapping(
        {
            **_ANY_FIGURE,
            "experiments": _EXPERIMENTS,
            "measurement": key("of the kind `loss_plane`; required", {"type": "string"}, example="around"),
            "rows": _ROWS,
            "columns": _COLUMNS,
            "panel": _PANEL,
        },
        ["experiments", "measurement"],
    ),
}


def figure(kind: str) -> dict[str, Any]:
    """The keys of a figure of a kind; one of an extension's has those of a curve, and its own."""
    if kind in FIGURE:
        return FIGURE[kind]
    curve, own = FIGURE["curve"], FIGURES[kind].options
    properties = {**curve["properties"], "kind": {"const": kind}, **own}
    return mapping(properties, [*curve["required"], *(option for option in own if "default" not in own[option])])


def study() -> dict[str, Any]:
    """The keys of a study."""
    return mapping(
        {
            "version": key("version of the format of this file", {"type": "integer"}, example=VERSION),
            "name": key("folder of the figures: `<output>/figures/<name>/`", _NAME, example="mnist1d"),
            "store": key(
                "folder of all results, relative to the working directory; `~` and `$VARIABLES` are expanded. "
                "Studies and people may share a store, and then share runs. If nothing is missing, it may be "
                "read-only",
                _PATH,
                example="/scratch/group/nme",
            ),
            "output": key(
                "folder of figures and logs, relative to the working directory", _PATH, example="/home/me/nme"
            ),
            "checkpoints": {
                "description": "how often an unfinished training is written down, to go on from",
                **mapping(
                    {
                        "seconds": key(
                            "seconds after which an unfinished training writes a checkpoint; null: not by time. "
                            "If writing takes more than a hundredth of the time, fewer are written",
                            {"type": ["number", "null"], "minimum": 0, "default": 60.0},
                            example=600,
                        ),
                        "epochs": key(
                            "epochs after which it is written; null: not by epochs",
                            {**COUNT, "type": ["integer", "null"], "default": None},
                            example=10,
                        ),
                    }
                ),
                "default": {},
            },
            "limit_runs": key(
                "largest number of grid points, or of panels of landscapes, before the study is refused as a likely mistake",
                COUNT,
                maximum=1_000_000,
                default=10000,
                example=50000,
            ),
            "sources": key(
                "data set → folder that it is made from ([below](#data-sets)); paths as in `store`. Ids of runs "
                "do not depend on it",
                {"type": "object", "additionalProperties": _SOURCE, "default": {}},
                example={"fashion_mnist": "/usr/share/datasets/fashion-mnist"},
            ),
            "select": key(
                "keeps these setups, and the experiments and figures that use them. An experiment that has no "
                "setup left is dropped, and so is a figure that no longer makes sense; null: all setups",
                {**listed({"type": "string"}), "type": ["array", "null"], "default": None},
                example=["cifar10", "fashion_mnist"],
            ),
            "extensions": key(
                "your own modules, beside the study or installed, with activations, methods, data and more that "
                "the study may name ([docs](../docs/extending.md))",
                {**listed(_MODULE), "minItems": 0, "default": []},
                example=["mylab.nme"],
            ),
            "smoke": key(
                "the same study in small, under the name `<name>-smoke`, to try it out",
                {"type": "boolean", "default": False},
                example=True,
            ),
            "style": STYLE,
            "setups": _named("what is trained ([below](#setupsname))", SETUP, minProperties=1),
            "experiments": _named("grids of runs ([below](#experimentsname))", experiment(), minProperties=1),
            "measurements": _named(
                "what experiments may measure of their runs ([below](#measurementsname))",
                {"type": "object"},
                default={},
            ),
            "landscapes": _named("losses over two weights ([below](#landscapesname))", LANDSCAPE, default={}),
            "claims": _named("what figures should show, judged ([below](#claimsname))", claim(), default={}),
            "figures": _named(
                "what is drawn ([below](#figuresname)); each name is a target of Snakemake",
                {"type": "object"},
                default={},
            ),
            "pins": key(
                "figure → digest of the numbers that it had when it was published, as `python -m nmepkg pins` prints it: "
                "where it draws others, that is said ([docs](../docs/sharing.md#pins)). No part of what a figure is",
                {
                    "type": "object",
                    "additionalProperties": {"type": "string", "pattern": r"^sha256:[0-9a-f]{12}\Z"},
                    "default": {},
                },
                example={"figure_1": "sha256:0123456789ab"},
            ),
        },
        ["version", "name", "setups", "experiments"],
    )


# Of an activation.
SECOND_DERIVATIVE = {
    "description": "what replaces φ'', while φ and φ' stay: `zero`, `gaussian` (eq. 19) or `gaussian_listing` (the "
    "appendix); null: nothing. Used only by methods that compute second derivatives; SGD and SAM ignore it",
    "default": None,
}

# What an entry of each kind may name.
ENTRIES: dict[str, Mapping[str, Entry]] = {
    "data": DATASETS,
    "augmentation": AUGMENTATIONS,
    "model": MODELS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "method": METHODS,
    "activation": ACTIVATIONS,
    "second_derivative": SECOND_DERIVATIVES,
    "measurement": MEASUREMENTS,
}


@cache
def entry_schema(kind: str, name: str, key: str) -> dict[str, Any]:
    """The schema of an entry's mapping: its name under ``key``, its options, and what its kind adds."""
    entry = ENTRIES[kind][name]
    extra: Mapping[str, Schema] = {}
    if kind == "activation":
        extra = {"second_derivative": SECOND_DERIVATIVE}
    elif kind == "measurement":
        extra = MEASUREMENT
    elif kind == "optimizer":
        extra = OPTIMIZER
    options = {**extra, **entry.options}
    required = [option for option, schema in options.items() if "default" not in schema]
    return mapping({key: {"const": name}, **options}, [key, *required])
