import itertools
from pathlib import Path

from nmepkg.analysis.axis_labels import axis_label
from nmepkg.analysis.figures.baselines import find_baselines
from nmepkg.analysis.style import NEUTRAL, line_styles
from tests.analysis.figures.forms import at_strengths
from tests.analysis.samples import ABLATED, GELU, RELU, SECOND, SYNTHETIC, Sample, figure, grid


def _accuracy(setup, method, activation, rho, seed):
    return 0.6 + 0.01 * seed


def _baselines(sample: Sample, **axes):
    curves = sample.collect(figure(**axes))
    return find_baselines(curves, line_styles(curves.line_axis, curves.lines)), curves


def test_methods_share_the_baseline_of_their_activation(tmp_path: Path) -> None:
    found, _ = _baselines(grid(tmp_path, _accuracy), columns="activation", lines="method")
    assert [(b.label, b.color, sorted(b.points)) for b in found] == [("SGD (ρ = 0)", NEUTRAL, [(0, 0), (0, 1)])]


def test_a_baseline_is_called_by_the_optimiser(tmp_path: Path) -> None:
    """And by none where runs are by several."""
    for others, name in (({"mlp": "adamw", "vit": "adamw"}, "AdamW (ρ = 0)"), ({"mlp": "adamw"}, "No method (ρ = 0)")):
        sample = Sample(tmp_path / name)
        for setup, method, rho in itertools.product(("mlp", "vit"), ("sam", "psam"), (0.0, 0.1)):
            sample.add(0.5, setup=setup, method=method, strength=rho, optimizer=others.get(setup, "sgd"))
        found, _ = _baselines(sample, rows="setup", lines="method")
        assert [b.label for b in found] == [name]


def test_an_activation_shares_its_baseline_with_its_ablation(tmp_path: Path) -> None:
    sample = grid(tmp_path, _accuracy, methods=("psam",), activations=(SYNTHETIC, RELU, GELU, ABLATED))
    found, curves = _baselines(sample, lines="activation")
    styles = line_styles("activation", curves.lines)
    assert [(b.label, b.color) for b in found] == [
        ("SGD (ρ = 0), ReLU", styles[1].color),
        ("SGD (ρ = 0), GELU", styles[2].color),
    ]
    assert [b.dashes for b in found] == [(0, (4, 4)), (-4, (4, 4))]  # in each other's gaps


def test_an_ablation_that_is_measured_has_a_baseline_of_its_own(tmp_path: Path) -> None:
    """One run at ρ = 0, measured with φ'' and without: two numbers, and one of them is not the other's."""
    sample = Sample(tmp_path)
    for activation, fraction in ((GELU, 0.0), (ABLATED, 1.0)):
        for rho in (0.0, 0.1):
            measured = {at: {"fraction_above": 0.5, "fraction_zero": fraction} for at in SECOND["at"]}
            spec = {**SECOND, "second_derivative": activation.get("second_derivative")}
            sample.add(0.5, activation=activation, strength=rho, measured=measured, measurement=spec)
    axes = {"measurement": "second_derivative", "y": ("fraction_zero",), "lines": "activation", "rows": "at"}
    found, curves = _baselines(sample, **axes)
    labels = [axis_label("activation", line, {}, curves.measured) for line in curves.lines]
    assert [b.label for b in found] == [f"SGD (ρ = 0), {label}" for label in labels]
    assert len(set(labels)) == 2
    assert [{point["mean"] for point in b.points.values()} for b in found] == [{0.0}, {1.0}]
    runs = curves.points.groupby("line")["runs"].agg(set), curves.points.groupby("line")["measurements"].agg(set)
    assert len(runs[0][0] & runs[0][1]) == 1, "one run of both lines"
    assert not runs[1][0] & runs[1][1]


def test_without_a_run_at_zero_there_is_no_baseline(tmp_path: Path) -> None:
    assert _baselines(grid(tmp_path, _accuracy, rho=(0.1, 0.2)), columns="activation", lines="method")[0] == []


def test_quantities_of_one_run_have_a_baseline_each(tmp_path: Path) -> None:
    curves = at_strengths(tmp_path)
    found = find_baselines(curves, line_styles(curves.line_axis, curves.lines))
    assert [b.label for b in found] == [f"SGD (σ² = 0), tr {part}" for part in "HGN"]
    assert [b.points[0, 0]["mean"] for b in found] == [21.0, 23.0, -2.0]
