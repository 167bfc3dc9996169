"""Landscapes made up without a network: their files, and panels of a figure."""

from pathlib import Path
from typing import Any

import numpy as np

from nmepkg import records
from nmepkg.files import arrays_sha256
from nmepkg.storage import LANDSCAPE

SPEC: dict[str, Any] = {
    "model": {"name": "mlp", "width": 2, "depth": 2, "batch_norm": False},
    "inputs": 3,
    "outputs": 1,
    "activation": {"name": "relu", "second_derivative": None},
    "loss": {"name": "mse"},
    "seed": 0,
    "layer": 1,
    "weights": [[0, 0], [2, 1]],
    "range": [-3.0, 3.0],
    "points": 31,
}


def arrays(height: float = 0.0, layer: int = 1) -> dict[str, np.ndarray]:
    """Of a width of 2 and a depth of 2: units of layer 1 bend at w1 = 0.5 and w2 = −1, one of layer 2 obliquely, one nowhere.

    Args:
      height: of the ridges of N within the layer.
      layer: the layer whose weights vary.
    """
    axis = np.linspace(-3.0, 3.0, 31)
    w1, w2 = np.meshgrid(axis, axis)
    oblique = np.maximum(w1 - 0.5, 0) - np.maximum(w2 + 1, 0) + 0.3
    ridges = height * np.exp(-20 * np.minimum(np.abs(w1 - 0.5), np.abs(w2 + 1)))
    return {
        "loss": oblique**2,
        "norm_G": 1 + w1**2,
        "norm_N": np.abs(oblique) + ridges,
        "norm_N_layer": ridges,
        "preactivations": np.stack([w1 - 0.5, w2 + 1, oblique, np.ones_like(w1)]),
        "units": np.array([(1, 0), (1, 1), (2, 0), (2, 1)]),
        "w1": axis,
        "w2": axis,
        "layer": np.array(layer),
        "weights": np.array([[0, 0], [1, 1]]),
    }


def content(**changes: Any) -> dict[str, Any]:
    """What a landscape's file holds, with arrays or parts of the description (as ``description_…``) replaced afterwards."""
    description = {
        "format": LANDSCAPE.format,
        "spec": SPEC,
        "arrays": arrays_sha256(arrays()),
        "provenance": {"code": "c0de"},
    }
    parts = {key: value for key, value in changes.items() if key.startswith("description_")}
    description |= {key.removeprefix("description_"): value for key, value in parts.items()}
    kept = {key: value for key, value in changes.items() if key not in parts}
    return {"description": np.array(records.seal(description)), **arrays(), **kept}


def write(path: Path, **changes: Any) -> Path:
    np.savez_compressed(path, **content(**changes))
    return path
