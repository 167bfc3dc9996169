"""Axes of figures: options that are left out, and an option called like the step of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmepkg.errors import UserError
from nmepkg.registry import ACTIVATIONS, METHODS
from nmepkg.runs.expand import expand
from nmepkg.study.axes import Observation, axis_value, clash, options, reserved, x_value
from nmepkg.study.spec import Cell, Figure
from tests.study.samples import study

FIGURE = "  curve: {experiments: [main], x: rho, columns: activation, lines: method}\n"
STEPS = "[{name: psam_fd, step: [0.01, 0.1]}]"
SEEN = Observation("test_accuracy", None, "completed")


def cell(method: dict[str, Any], activation: dict[str, Any] | None = None, run: str = "run") -> Cell:
    return Cell("main", "mlp", method, activation or {"name": "gelu"}, 0.1, 0, {}, run)


def test_an_option_that_is_left_out_has_its_default() -> None:
    figure = Figure("curve", x="rho", lines="m")
    assert axis_value(figure, cell({"name": "sam"}), SEEN, "m") is None
    assert axis_value(figure, cell({"name": "sam", "m": 8}), SEEN, "m") == 8
    assert axis_value(figure, cell({"name": "psam_fd"}), SEEN, "step") == 0.01
    assert axis_value(figure, cell({"name": "sam"}), SEEN, "second_derivative") is None
    assert options("activation", {"name": "leaky_relu", "label": "Leaky"}) == {
        "negative_slope": 0.01,
        "second_derivative": None,
    }


def test_a_default_that_is_written_makes_no_other_method() -> None:
    figure = Figure("curve", x="rho", lines="method")
    written, bare = cell({"name": "sam", "m": None}), cell({"name": "sam"})
    assert axis_value(figure, written, SEEN, "method") == axis_value(figure, bare, SEEN, "method") == {"name": "sam"}


def test_a_figure_may_show_an_option_that_one_of_its_methods_leaves_out(tmp_path: Path) -> None:
    edits = (("[sam, psam]", "[sam, {name: sam, m: 8}]"), (FIGURE, FIGURE.replace("lines: method", "lines: m")))
    assert study(tmp_path, *edits).figures["curve"].lines == "m"
    with pytest.raises(UserError, match=r"figures\.curve\.lines: no axis 'm' in its experiments"):
        study(tmp_path, ("[sam, psam]", "[sgd, {name: sam, m: 8}]"), edits[1])


def test_options_are_called_like_no_axis_but_step() -> None:
    known = {option for registry in (METHODS, ACTIVATIONS) for entry in registry.values() for option in entry.options}
    assert known & set(reserved(Figure("curve", measurement="traces"))) == {"step"}
    methods, activations = ({o for e in registry.values() for o in e.options} for registry in (METHODS, ACTIVATIONS))
    assert not methods & activations


@pytest.mark.parametrize("axes", ["x: step, columns: activation", "x: rho, columns: activation, lines: step"])
def test_without_a_measurement_step_is_an_option(tmp_path: Path, axes: str) -> None:
    figure = FIGURE.replace("x: rho, columns: activation, lines: method", axes)
    rho = ("rho: [0, 0.1]", "rho: [0.1]")
    read = study(tmp_path, ("[sam, psam]", STEPS), (FIGURE, figure), rho)
    cells = expand(read).cells_of(read.figures["curve"])
    assert {axis_value(read.figures["curve"], cell, SEEN, "step") for cell in cells} == {0.01, 0.1}
    assert not any("step" in axis_value(read.figures["curve"], cell, SEEN, "method") for cell in cells)


def test_along_training_step_is_that_of_training(tmp_path: Path) -> None:
    """Two lengths of the finite difference are two methods there."""
    edits = (
        ("[sam, psam]", STEPS),
        ("rho: [0, 0.1]", "rho: [0.1]"),
        ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [traces]"),
        (
            "experiments:\n",
            "measurements: {traces: {kind: traces, at: [initial, final], examples: 16}}\nexperiments:\n",
        ),
    )
    drawn = FIGURE.replace("x: rho", "measurement: traces, y: tr_H, x: step, x_scale: linear")
    read = study(tmp_path, *edits, (FIGURE, drawn))
    figure, cells = read.figures["curve"], expand(read).cells
    seen = Observation("tr_H", 1.0, "measured", "final", 7)
    assert {x_value(figure, cell, seen) for cell in cells} == {7.0}
    assert {axis_value(figure, cell, seen, "method").get("step", 0.01) for cell in cells} == {0.01, 0.1}
    with pytest.raises(UserError, match=r"figures\.curve: its experiments have 2 values of 'method'"):
        study(tmp_path, *edits, (FIGURE, drawn.replace(", lines: method", "")))


def test_what_falls_on_one_point() -> None:
    figure = Figure("curve", x="rho")
    one, other = cell({"name": "sam"}), cell({"name": "sam"}, run="another")
    assert clash(figure, (one, SEEN), (one, SEEN)) is None
    assert clash(figure, (one, SEEN), (other, SEEN)) == "runs run and another"
