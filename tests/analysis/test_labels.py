import pytest

from nmepkg.analysis.labels import activation_label, drawn, method_label, metric_title, tick_text
from nmepkg.registry import METHODS


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ({"name": "psam"}, "PSAM"),
        ({"name": "psam", "rho": 0.1, "m": None}, "PSAM"),
        ({"name": "sam", "m": 16}, "SAM (m = 16)"),
        ({"name": "gradient_penalty", "p": 3}, "Gradient penalty (p = 3)"),
        ({"name": "psam_gn"}, "PSAM, G only"),
        ({"name": "psam_gn", "label": "GN"}, "GN"),
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
        ({"name": "relu", "label": "ReLU, synthetic NME"}, "ReLU, synthetic NME"),
    ],
)
def test_activations(activation: dict, label: str) -> None:
    assert activation_label(activation) == label


def test_every_method_of_the_registry_has_a_label_of_its_own() -> None:
    labels = [method_label({"name": name}) for name in METHODS]
    assert len(set(labels)) == len(labels)


def test_greek_symbols_are_drawn_as_mathematics_unless_the_label_has_its_own() -> None:
    assert drawn("SGD (ρ = 0)") == r"SGD ($\rho$ = 0)"
    assert drawn("GELU, φ″ := 0, σ²") == r"GELU, $\varphi''$ := 0, $\sigma^2$"
    assert drawn(r"$\rho$ and ρ") == r"$\rho$ and ρ"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001, "0.001"), (100.0, "100"), (1e6, "$10^{6}$"), (1e-4, "$10^{-4}$"), (2e-5, r"$2{\times}10^{-5}$")],
)
def test_numbers_on_an_axis(value: float, text: str) -> None:
    assert tick_text(value) == text


def test_an_axis_says_which_evaluation_it_shows() -> None:
    assert metric_title("test_accuracy", "final") == "Test accuracy (%)"
    assert metric_title("test_loss", "best_validation") == "Test loss at best validation"
