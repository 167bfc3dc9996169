"""The keys of a claim: JSON Schema fragments, as those of :mod:`nmepkg.study.keys`."""

from __future__ import annotations

from typing import Any

from nmepkg.registry import STRENGTHS
from nmepkg.study.keys import COUNT, ENTRY, TITLE, key, listed, mapping

EXPECTED = ("less", "greater", "equal", "different")
SCALES = ("linear", "log")
DIVERGED = ("chance", "left_out")
BEST = "best"

_STRENGTH = {"type": ["number", "string", "object"], "minimum": 0}


def _arm() -> dict[str, Any]:
    return {
        "method": key("one of the study's, with its options", ENTRY, example="psam"),
        "activation": key(
            "one of the study's, with its options", ENTRY, example={"name": "gelu", "second_derivative": "zero"}
        ),
        **{
            strength: key(
                "the strength: one of the study's; `best`, the arm's own best; or `{best_of: {method: sam}}`, the best of "
                "another method, with this arm's activation unless you name one. The best has the highest validation accuracy. "
                "It is chosen for each seed by the mean over the other seeds, and is never 0",
                _STRENGTH,
                example=entry.compared,
            )
            for strength, entry in STRENGTHS.items()
        },
        "y": key(
            "which number is compared; by default that of the figure, if it has only one",
            {"type": "string"},
            example="tr_H",
        ),
        "at": key(
            "where it was measured: `initial`, `final`, a step, or a share of training: the nearest point",
            {**COUNT, "type": ["string", "integer"]},
            example="40%",
        ),
        "radius": key(
            "the one of the measurement's `radii`; left out: the only one",
            {"type": "number"},
            example=0.1,
        ),
        "within": key(
            "for landscapes: the distance from a boundary that counts as near, in units of 1/β",
            {"type": "number", "exclusiveMinimum": 0},
            example=2,
        ),
    }


def arm() -> dict[str, Any]:
    """The keys of an arm; a title is what tables call it, in place of its keys."""
    keys = _arm()
    return {
        **mapping(
            {
                **keys,
                "minus": key(
                    "another arm whose number is subtracted; give the keys in which it differs",
                    {**mapping(keys), "title": "arm"},
                    example={"at": "20%"},
                ),
                "per_step": key(
                    "that difference is divided by the training steps between the two",
                    {"type": "boolean"},
                    example=True,
                ),
            }
        ),
        "title": "arm",
    }


def claim() -> dict[str, Any]:
    """The keys of a claim."""
    keys = arm()
    return mapping(
        {
            "figure": key(
                "the figure that shows it: its measurement, or its `report`, is what is compared",
                {"type": "string"},
                example="figure_1",
            ),
            "says": key("the sentence that is judged", TITLE, example="With ReLU, PSAM falls below SAM."),
            "both": key("what both arms have", keys, default={}, example={"activation": "relu", "rho": 0.1}),
            "a": key("the first arm", keys, default={}, example={"method": "psam"}),
            "b": key(
                "the second arm, or a number to compare the first with",
                {**keys, "type": ["object", "number"], "title": "arm, or a number"},
                example={"method": "sam"},
            ),
            "expect": key(
                "what a should be against b; `equal`: within `smallest` of it", {"enum": list(EXPECTED)}, example="less"
            ),
            "smallest": key(
                "the smallest effect of interest: an effect that is surely smaller contradicts the claim. In points of "
                "accuracy; a factor above 1 on the scale `log`; else in units of `y`",
                {"type": "number", "exclusiveMinimum": 0},
                example=1,
            ),
            "scale": key(
                "`log` compares ratios, of numbers above 0", {"enum": list(SCALES), "default": "linear"}, example="log"
            ),
            "diverged": key(
                "what the accuracy of a run that diverged counts as: `chance`, 1 over the number of classes; or `left_out`, "
                "with its seed. Of other numbers it is always left out",
                {"enum": list(DIVERGED), "default": "chance"},
                example="left_out",
            ),
            "setups": key(
                "the setups that get a verdict each; null: all setups of the figure's experiments that have the "
                "runs of both arms, which must be at least one",
                {**listed({"type": "string"}), "type": ["array", "null"], "default": None},
                example=["mlp"],
            ),
        },
        ["figure", "says", "b", "expect", "smallest"],
    )
