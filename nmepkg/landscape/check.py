"""What a landscape may be asked for. Imports no JAX: the study loader checks with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nmepkg.errors import UserError


def check(spec: Mapping[str, Any]) -> None:
    """Refuses a landscape that does not exist: of another model than an MLP, or of weights that the MLP does not have.

    Args:
      spec: canonical spec; its ``activation`` may still be missing.

    Raises:
      UserError: one line that begins with the key and says what it may be.
    """
    model, layer = spec["model"], spec["layer"]
    if model["name"] != "mlp":
        raise UserError(f"model: a landscape needs the model 'mlp', not {model['name']!r}")
    if model["batch_norm"]:
        raise UserError("model.batch_norm: one datapoint has no batch to normalise over; set it to false")
    if model["depth"] == 0:
        raise UserError("model.depth: a model of depth 0 has no hidden layer; take at least 1")
    if spec["loss"]["name"] != "mse":
        raise UserError(f"loss: a landscape's target is a vector, so its loss is 'mse', not {spec['loss']['name']!r}")
    if not 1 <= layer <= model["depth"]:
        raise UserError(f"layer: {layer} is no hidden layer of a model of depth {model['depth']}; they count from 1")
    sizes = {"input": spec["inputs"] if layer == 1 else model["width"], "unit": model["width"]}
    for position, weight in enumerate(spec["weights"]):
        for (name, size), index in zip(sizes.items(), weight, strict=True):
            if not 0 <= index < size:
                raise UserError(
                    f"weights[{position}]: {name} {index} of {list(weight)} is not in layer {layer}, "
                    f"whose {name}s go from 0 to {size - 1}"
                )
    if list(spec["weights"][0]) == list(spec["weights"][1]):
        raise UserError(f"weights: {list(spec['weights'][0])} is listed twice; two different weights span a plane")
    low, high = spec["range"]
    if not float("-inf") < low < high < float("inf"):
        raise UserError(f"range: {list(spec['range'])} is no range; give the lower end first")
    far = max(abs(low), abs(high))
    if far > 1e6 or high - low < 1e-3 * far or far < 1e-6:  # of what single precision squares, and tells apart
        raise UserError(
            f"range: {list(spec['range'])} has no map in single precision; give ends of 1e-6 to 1e6 in size, a thousandth apart"
        )
