import math
from typing import Any

import pytest

from nmepkg.analysis.quantities import bounds, common_title, metric_title, quantity_label
from nmepkg.registry import MEASUREMENTS
from tests.analysis.samples import SECOND, TRACES


def test_an_axis_says_which_evaluation_it_shows() -> None:
    assert metric_title("test_accuracy", "final") == "Test accuracy (%)"
    assert metric_title("test_loss", "best_validation") == "Test loss at best validation"


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "Fraction of units with |φ″| above 1 % of its maximum"),
        ({"threshold": 0.0025}, "Fraction of units with |φ″| above 0.25 % of its maximum"),
        ({"threshold": 0.01, "relative": False}, "Fraction of units with |φ″| above 0.01"),
    ],
)
def test_the_threshold_is_that_of_the_measurement(changes: dict[str, Any], title: str) -> None:
    assert metric_title("fraction_above", "final", {**SECOND, **changes}) == title


def test_quantities_that_share_an_axis() -> None:
    assert common_title(["tr_H", "tr_G", "tr_N"], "final", TRACES) == "Trace"
    assert [quantity_label(name, TRACES) for name in ("tr_H", "tr_N")] == ["tr H", "tr N"]
    assert common_title(["fraction_above", "fraction_zero"], "final", SECOND) == "Fraction of units"
    assert quantity_label("fraction_above", SECOND) == "|φ″| above 1 % of its maximum"
    assert common_title(["test_accuracy", "train_accuracy"], "best_validation") == "Accuracy at best validation (%)"
    assert common_title(["test_accuracy", "train_loss"], "final") == "Value"
    assert common_title(["tr_H"], "final", TRACES) == metric_title("tr_H", "final", TRACES)


@pytest.mark.parametrize("kind", MEASUREMENTS)
def test_every_quantity_of_the_registry_has_a_title_and_a_label_of_its_own(kind: str) -> None:
    measured = {**SECOND, "kind": kind}
    names = MEASUREMENTS[kind].quantities
    titles = [metric_title(name, "final", measured) for name in names]
    assert len(set(titles)) == len(titles)
    assert not any("_" in title or title == name.replace("_", " ") for title, name in zip(titles, names, strict=True))
    by_family: dict[str, list[str]] = {}
    for name in names:
        by_family.setdefault(common_title([name, name], "final", measured), []).append(quantity_label(name, measured))
    assert "Value" not in by_family
    assert all(len(set(labels)) == len(labels) for labels in by_family.values())


def test_one_name_of_two_measurements() -> None:
    assert metric_title("norm_N", "final", {"kind": "alignment"}) == "Norm of N ĝ"
    assert metric_title("norm_N", "final", {"kind": "nme_blocks"}) == "Frobenius norm of the NME"


def test_bounds() -> None:
    assert bounds(["test_accuracy"]) == bounds(["fraction_zero", "overlap_g_H"]) == (0.0, 1.0)
    assert bounds(["cosine_N"]) == (-1.0, 1.0)
    assert bounds(["test_loss"]) == bounds(["gradient_norm"]) == bounds(["worst_case", "threshold"]) == (0.0, math.inf)
    assert bounds(["loss_along_g"]) == bounds(["tr_N", "test_accuracy"]) == (-math.inf, math.inf)
