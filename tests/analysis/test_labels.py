import pytest

from nmepkg.analysis.labels import (
    METHOD_NAMES,
    OPTIMIZER_NAMES,
    activation_label,
    axis_title,
    drawn,
    method_label,
    place_label,
)
from nmepkg.registry import METHODS, OPTIMIZERS


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ({"name": "psam"}, "PSAM"),
        ({"name": "psam", "rho": 0.1, "m": None}, "PSAM"),
        ({"name": "sam", "m": 16}, "SAM (m = 16)"),
        ({"name": "gradient_penalty", "p": 3}, "Gradient penalty (p = 3)"),
        ({"name": "psam_gn"}, "PSAM, G only"),
        ({"name": "psam_gn", "label": "GN"}, "GN"),
        ({"name": "psam", "strength": 0.1}, "PSAM (ρ = 0.1)"),
        ({"name": "psam", "m": 16, "strength": 0.1}, "PSAM (m = 16, ρ = 0.1)"),
        ({"name": "hessian_trace", "samples": 1, "probe": "gaussian"}, "Penalty on tr H"),
        ({"name": "hessian_trace", "samples": 5, "strength": 1e-3}, "Penalty on tr H (samples = 5, σ² = 0.001)"),
        ({"name": "gn_trace_hutchinson", "samples": 5}, "Penalty on tr G (Hutchinson, samples = 5)"),
        ({"name": "nme_trace", "probe": "rademacher"}, "Penalty on tr N (probe = Rademacher)"),
        ({"name": "weight_noise", "antithetic": True}, "Weight noise (antithetic)"),
        ({"name": "weight_noise", "antithetic": False, "normalization": False}, "Weight noise (no normalization)"),
        ({"name": "one_of_tomorrow"}, "one_of_tomorrow"),
    ],
)
def test_methods(method: dict, label: str) -> None:
    assert method_label(method) == label


@pytest.mark.parametrize(
    ("activation", "label"),
    [
        ({"name": "gelu", "second_derivative": None}, "GELU"),
        ({"name": "gelu", "second_derivative": "zero"}, "GELU, φ″ := 0"),
        ({"name": "gelu", "second_derivative": {"name": "zero"}}, "GELU, φ″ := 0"),
        ({"name": "relu", "second_derivative": "gaussian"}, "ReLU, synthetic φ″ (β = 100)"),
        ({"name": "relu", "second_derivative": {"name": "gaussian", "beta": 10}}, "ReLU, synthetic φ″ (β = 10)"),
        ({"name": "beta_gelu", "beta": 10.0}, "β-GELU (β = 10)"),
        ({"name": "leaky_relu", "negative_slope": 0.01}, "Leaky ReLU"),
        ({"name": "leaky_relu", "negative_slope": 0.1}, "Leaky ReLU (slope = 0.1)"),
        ({"name": "relu", "label": "ReLU, synthetic NME"}, "ReLU, synthetic NME"),
    ],
)
def test_activations(activation: dict, label: str) -> None:
    assert activation_label(activation) == label


def test_every_method_of_the_registry_has_a_label_of_its_own() -> None:
    labels = [method_label({"name": name}) for name in METHODS]
    assert len(set(labels)) == len(labels)


def test_every_method_of_the_registry_has_a_name_for_figures() -> None:
    assert set(METHOD_NAMES) == set(METHODS)
    assert set(OPTIMIZER_NAMES) == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("optimizers", "label"),
    [(("sgd",), "SGD"), (("adamw",), "AdamW"), (("lion",), "lion"), (("sgd", "adam"), "No method")],
)
def test_no_method_is_called_by_the_optimiser(optimizers: tuple[str, ...], label: str) -> None:
    assert method_label({"name": "sgd"}, optimizers) == label
    assert method_label({"name": "sgd", "label": "mine"}, optimizers) == "mine"
    assert method_label({"name": "sam"}, optimizers) == "SAM"


@pytest.mark.parametrize(
    ("name", "methods", "title"),
    [
        ("rho", ("sam",), "Perturbation radius ρ"),
        ("rho", ("psam", "psam_gn", "sgd"), "Penalty strength ρ"),
        ("rho", ("sam", "psam", "usam"), "Perturbation radius or penalty strength ρ"),
        ("sigma2", ("hessian_trace", "sgd"), "Penalty strength σ²"),
        ("sigma2", ("weight_noise",), "Noise variance σ²"),
        ("sigma2", ("gn_trace", "weight_noise"), "Penalty strength or noise variance σ²"),
    ],
)
def test_the_axis_of_a_strength_names_what_the_figure_has(name: str, methods: tuple[str, ...], title: str) -> None:
    assert axis_title(name, methods=methods) == title


def test_places_of_a_measurement() -> None:
    assert [place_label(at) for at in ("initial", 600, "final")] == ["At initialisation", "Step 600", "After training"]


def test_greek_symbols_are_drawn_as_mathematics_unless_the_label_has_its_own() -> None:
    assert drawn("SGD (ρ = 0)") == r"SGD ($\rho$ = 0)"
    assert drawn("GELU, φ″ := 0, σ²") == r"GELU, $\varphi''$ := 0, $\sigma^2$"
    assert drawn("PSAM, G only") == "PSAM, $G$ only"
    assert drawn("Norm of N ĝ, GELU") == r"Norm of $N$ $\hat{g}$, GELU"
    assert drawn(r"$\rho$ and ρ") == r"$\rho$ and ρ"
