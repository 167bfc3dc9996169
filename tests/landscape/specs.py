"""Canonical specs of landscapes."""

from typing import Any

from nmepkg import specs

RELU = {"name": "relu", "second_derivative": None}


def beta_gelu(beta: float) -> dict[str, Any]:
    return {"name": "beta_gelu", "beta": beta, "second_derivative": None}


def spec(**changes: Any) -> dict[str, Any]:
    """Two weights into two units of the first of two hidden layers, whose boundaries those of the second layer bend at."""
    return {
        "model": {"name": "mlp", "width": 4, "depth": 2, "batch_norm": False},
        "inputs": 3,
        "outputs": 1,
        "activation": RELU,
        "loss": {"name": "mse"},
        "seed": 46,
        "layer": 1,
        "weights": [[0, 0], [1, 1]],
        "range": [-3.0, 3.0],
        "points": 41,
        **changes,
    }


def made(**changes: Any) -> specs.Landscape:
    """The landscape that :func:`spec` describes."""
    return specs.landscape(spec(**changes))
