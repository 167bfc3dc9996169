"""What could not be drawn is refused when it is planned, not after its runs are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmepkg.errors import UserError
from tests.study.samples import study

FIGURE = "  curve: {experiments: [main], x: rho, columns: activation, lines: method}\n"
SLOPES = ("[gelu, relu]", "[{name: leaky_relu, negative_slope: [-0.2, -0.1]}]")
MEASURED = (
    ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [traces]"),
    ("experiments:\n", "measurements: {traces: {kind: traces, at: [initial, 5, final], examples: 16}}\nexperiments:\n"),
    ("x: rho, columns: activation", "measurement: traces, y: tr_H, x: step, rows: rho, columns: activation"),
)
PLANE = (
    "figures:\n",
    "landscapes:\n  plane: {activations: [{name: beta_gelu, beta: [1, 2, 3, 4, 5]}], model: {name: mlp, width: 4, depth: 1}, "
    "inputs: 3, weights: [[0, 0], [1, 1]], range: [-1, 1]}\nfigures:\n  plane: {kind: landscape, landscape: plane}\n",
)
AROUND = (
    ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [around, traces]"),
    (
        "experiments:\n",
        "measurements: {around: {kind: loss_plane, examples: 16}, traces: {kind: traces, examples: 16}}\nexperiments:\n",
    ),
    ("rho: [0, 0.1]", "rho: [0.1]"),
)
LINE = "x: rho, columns: activation, lines: method"
PLANES = "kind: plane, measurement: around, rows: method, columns: activation"
MANY = "[" + ", ".join(f"{{name: beta_gelu, beta: {beta}}}" for beta in range(1, 31)) + "]"

AHEAD = (
    ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [ahead]"),
    ("experiments:\n", "measurements: {ahead: {kind: prediction, radii: [0.1, 1], examples: 16}}\nexperiments:\n"),
)
OVER_RADII = "measurement: ahead, y: gap_H, x: radius, rows: rho, columns: activation"

BAD: dict[str, tuple[Any, ...]] = {
    "two radii in one place": (
        *AHEAD,
        ("x: rho, ", "measurement: ahead, y: gap_H, x: rho, "),
        "figures.curve: it has 2 values of 'radius'; give it to rows, columns or lines",
    ),
    "an option of what replaces no φ''": (
        ("[gelu, relu]", "[relu, {name: relu, second_derivative: {name: gaussian, beta: 10}}]"),
        ("x: rho, columns: activation", "x: second_derivative.beta, columns: rho"),
        "figures.curve.x: no axis 'second_derivative.beta' in its experiments; ",
    ),
    "radii of evaluations": (
        ("x: rho, columns: activation", "x: radius, columns: activation"),
        "figures.curve.x: no axis 'radius' in its experiments; ",
    ),
    "two strengths": (
        ("[sam, psam]", "[sam, weight_noise]"),
        ("rho: [0, 0.1]", "rho: [0, 0.1]\n    sigma2: [0.1]"),
        "figures.curve: it shows rho, but 'weight_noise' has sigma2; draw them in two figures",
    ),
    "two strengths in two experiments": (
        (
            "figures:\n",
            "  noise: {setups: [mlp], methods: [weight_noise], activations: [gelu], sigma2: [0.1], seeds: [0]}\nfigures:\n",
        ),
        ("experiments: [main]", "experiments: [main, noise]"),
        "figures.curve: it shows rho, but 'weight_noise' has sigma2; draw them in two figures",
    ),
    "the beginning on a logarithmic axis": (
        *MEASURED,
        "figures.curve.x: step = 0, 'initial', has no place on a logarithmic axis; give it x_scale: linear",
    ),
    "below zero on a logarithmic axis": (
        SLOPES,
        ("x: rho, columns: activation", "x: negative_slope, columns: rho"),
        "figures.curve.x: negative_slope = -0.2 has no place on a logarithmic axis; give values above 0",
    ),
    "panels of landscapes": (
        PLANE,
        "figures.plane.landscape: a figure has room for 4 activations, and landscapes.plane has 5; divide them between two",
    ),
    "a curve of planes": (
        *AROUND,
        ("x: rho, ", "measurement: around, y: loss_plane, x: rho, "),
        "figures.curve.measurement: 'around' is of the kind 'loss_plane', which a figure of the kind 'curve' does not draw; "
        "write kind: plane",
    ),
    "planes of traces": (
        *AROUND,
        (LINE, PLANES.replace("around", "traces")),
        "figures.curve.measurement: 'traces' is of the kind 'traces', which a figure of the kind 'plane' does not draw; "
        "name one of the kind 'loss_plane', or write kind: curve",
    ),
    "planes of no measurement": (
        *AROUND,
        (LINE, "kind: plane, rows: method, columns: activation"),
        "figures.curve: the key 'measurement' is missing",
    ),
    "planes that nobody measures": (
        AROUND[1],
        (LINE, PLANES),
        "figures.curve.measurement: add 'around' to experiments.main.measurements",
    ),
    "planes over an axis": (*AROUND, (LINE, f"{PLANES}, x: rho"), "figures.curve: unknown key 'x'"),
    "planes of two methods on a panel": (
        *AROUND,
        (LINE, PLANES.replace("rows: method, ", "")),
        "figures.curve: its experiments have 2 values of 'method'; give it to rows or columns",
    ),
    "planes of two strengths on a panel": (
        *AROUND[:2],
        (LINE, PLANES),
        "figures.curve: its experiments have 2 values of 'rho'; give it to rows or columns",
    ),
    "planes of two places on a panel": (
        *AROUND,
        ("kind: loss_plane,", "kind: loss_plane, at: [initial, final],"),
        (LINE, PLANES),
        "figures.curve: it has 2 values of 'at'; give it to rows or columns",
    ),
    "planes over training steps": (
        *AROUND,
        (LINE, PLANES.replace("rows: method", "rows: step")),
        "figures.curve.rows: no axis 'step' in its experiments; ",
    ),
    "planes of other seeds on a panel": (
        *AROUND,
        (
            "figures:\n",
            "  more: {setups: [mlp], methods: [sam, psam], activations: [gelu], rho: [0.1], seeds: [7], "
            "measurements: [around]}\nfigures:\n",
        ),
        ("experiments: [main]", "experiments: [main, more]"),
        (LINE, PLANES),
        "figures.curve: two planes fall on one panel; give what they differ in to rows or columns",
    ),
    "columns of planes": (
        *AROUND,
        ("[gelu, relu]", MANY),
        (LINE, PLANES),
        "figures.curve: more than 5 columns have no room; divide it between several figures",
    ),
    "narrow planes": (
        *AROUND,
        (LINE, f"{PLANES}, width: 3"),
        "figures.curve.width: 3 inches have no room for 2 panels side by side; give it at least 3.4",
    ),
    "a claim about planes": (
        *AROUND,
        (LINE, PLANES),
        (
            "figures:\n",
            "claims: {flat: {figure: curve, says: It is flat, a: {method: sam}, b: 1, expect: less, smallest: 1}}\nfigures:\n",
        ),
        "claims.flat.figure: 'curve' draws planes, which have no number to compare; name a figure of curves",
    ),
    "panels": (("[gelu, relu]", MANY), "figures.curve: more than 12 columns have no room; divide it between several"),
    "lines": (
        ("[gelu, relu]", MANY),
        ("columns: activation, lines: method", "columns: method, lines: activation"),
        "figures.curve: more than 24 lines have no room; divide it between several figures",
    ),
    "a share of no examples": (
        ("    training:", "    validation: {fraction: 0.001}\n    training:"),
        ("x: rho,", "x: rho, report: best_validation,"),
        "figures.curve.report: 'best_validation' needs validation examples, and setups.mlp.validation.fraction leaves",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_in_one_line(case: str, tmp_path: Path) -> None:
    *edits, message = BAD[case]
    with pytest.raises(UserError) as caught:
        study(tmp_path, *edits)
    assert str(caught.value).startswith(f"{tmp_path / 'study.yaml'}: {message}")


GOOD: dict[str, tuple[tuple[str, str], ...]] = {
    "below zero on a linear axis": (
        SLOPES,
        ("x: rho, columns: activation", "x: negative_slope, x_scale: linear, columns: rho"),
    ),
    "zero alone on a linear axis": (("rho: [0, 0.1]", "rho: [0]"), ("x: rho,", "x: rho, x_scale: linear,")),
    "training on a linear axis": (*MEASURED[:2], (MEASURED[2][0], f"x_scale: linear, {MEASURED[2][1]}")),
    "training from a step on": (MEASURED[0], (MEASURED[1][0], MEASURED[1][1].replace("initial, ", "")), MEASURED[2]),
    "the options of what replaces φ''": (
        ("[gelu, relu]", "[{name: relu, second_derivative: {name: [gaussian, gaussian_listing], beta: [1, 10]}}]"),
        ("x: rho, columns: activation", "x: second_derivative.beta, columns: rho, rows: activation"),
    ),
    "planes": (*AROUND, (LINE, PLANES)),
    "planes at two places": (
        *AROUND,
        ("kind: loss_plane,", "kind: loss_plane, at: [initial, final],"),
        ("[sam, psam]", "[psam]"),
        (LINE, PLANES.replace("method", "at")),
    ),
    "one radius on no axis": (
        AHEAD[0],
        (AHEAD[1][0], AHEAD[1][1].replace("[0.1, 1]", "[0.1]")),
        ("x: rho, ", "measurement: ahead, y: gap_H, x: rho, "),
    ),
    "over radii": (*AHEAD, ("x: rho, columns: activation", OVER_RADII)),
    "a radius each row": (*AHEAD, ("x: rho, ", "measurement: ahead, y: gap_H, x: rho, rows: radius, ")),
    "SGD beside a strength": (("[sam, psam]", "[sgd, sam]"),),
}


@pytest.mark.parametrize("case", GOOD)
def test_accepts_what_can_be_drawn(case: str, tmp_path: Path) -> None:
    assert study(tmp_path, *GOOD[case]).figures
