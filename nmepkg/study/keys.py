"""The keys of a study below its top: JSON Schema fragments that say what each means, with its default and an example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nmepkg.entries import COUNTED, SEED, Schema
from nmepkg.registry import STRENGTHS

REPORTS = ("final", "best_validation", "median_last")

COUNT = {"type": "integer", "minimum": 1, "maximum": COUNTED}
SHARE = {"title": "share as `40%`", "type": "string", "pattern": r"^(0\.[0-9]{0,2}[1-9]|[1-9][0-9]?(\.[0-9]{1,3})?)%$"}
COUNT_OR_NULL = {"type": ["integer", "null"], "minimum": 1, "maximum": COUNTED, "default": None}
SEED_KEY = {"type": "integer", **SEED}
NOT_NEGATIVE = {"type": "number", "minimum": 0}
ENTRY = {"type": ["string", "object"]}  # a name, or a mapping with `name` and options
TITLE = {"type": "string", "maxLength": 300}


def key(meaning: str, schema: Schema, *, example: Any = None, assumed: bool = False, **more: Any) -> dict[str, Any]:
    """A fragment with what the key means.

    Args:
      example: that is not the default.
      assumed: whether the paper does not say what the default is.
      more: keywords of JSON Schema, in place of those of ``schema``.
    """
    shown = {} if example is None else {"examples": [example]}
    return {"description": meaning, **schema, **more, **shown, **({"assumed": True} if assumed else {})}


def mapping(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> dict[str, Any]:
    """Of exactly these keys."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def listed(items: Schema, **extra: Any) -> dict[str, Any]:
    """A list that holds something, and nothing twice."""
    return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True, **extra}


def experiment() -> dict[str, Any]:
    """The keys of an experiment, with the strengths that the registry has now: an extension may have brought some."""
    strengths = {
        name: key(
            f"{strength.meaning}; required if a method takes it, else refused. The grid is assumed",
            listed(NOT_NEGATIVE),
            example=list(strength.example),
        )
        for name, strength in STRENGTHS.items()
    }
    return mapping(
        {
            "setups": key("of those above", listed({"type": "string"}), example=["mlp", "resnet"]),
            "methods": key("a [method](#methods-and-activations) each", listed(ENTRY), example=["sam", "psam"]),
            "activations": key(
                "an [activation](#methods-and-activations) each", listed(ENTRY), example=["gelu", "relu"]
            ),
            **strengths,
            "seeds": key(
                "seeds of initialisation, order of batches and a method's noise; one run for each",
                listed(SEED_KEY),
                example=[0, 1, 2],
            ),
            "measurements": key(
                "what is measured of every run, by its name below",
                {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "default": []},
                example=["traces"],
            ),
        },
        ["setups", "methods", "activations", "seeds"],
    )


# What every measurement has, besides the options of its kind.
MEASUREMENT: dict[str, Schema] = {
    "at": key(
        "`initial` (before the first step), `final`, steps, and shares of the training, which become the nearest steps. Runs "
        "keep their parameters there",
        listed({"anyOf": [{"enum": ["initial", "final"]}, COUNT, SHARE]}, default=["final"]),
        example=["initial", 100, "40%", "final"],
    ),
    "split": key("of which examples", {"enum": ["train", "validation", "test"], "default": "train"}, example="test"),
    "examples": key(
        "how many of them, the first of a permutation; null, and where there are fewer: all. They are not augmented",
        COUNT_OR_NULL,
        default=1024,
        example=256,
        assumed=True,
    ),
    "batch_size": key(
        "the loss is the mean over batches of this size, each normalised separately; null: batches as in training, in which "
        "BatchNorm normalises what it does there (see below). Examples that fill no batch are left out",
        COUNT_OR_NULL,
        example=128,
    ),
    "batch_norm": key(
        "`train`: BatchNorm with the statistics of the examples that are normalised together, differentiated through, as in a "
        "step; `evaluate`: with the running averages",
        {"enum": ["train", "evaluate"], "default": "train"},
        example="evaluate",
        assumed=True,
    ),
    "seed": key("of the examples and of random probes", SEED_KEY, default=0, example=1),
}
