"""How many parameters a model will have, where that is easily told without making it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

_KERNEL = 3 * 3  # of a convolution of a `cnn`


def parameters(model: Mapping[str, Any], shape: Sequence[int], classes: int) -> int | None:
    """Parameters of an ``mlp`` or a ``cnn`` on examples of a shape; None of others, which are large as a rule.

    A dense layer of a inputs and b units has a b + b, a 3×3 convolution of a and b channels 9 a b + b, normalisation
    2 a channel.
    """
    if model["name"] == "mlp":
        widths = [math.prod(shape), *[model["width"]] * model["depth"], classes]
        normalized = model["batch_norm"] or model["layer_norm"]
        return _dense(widths) + (2 * model["width"] * model["depth"] if normalized else 0)
    if model["name"] == "cnn":
        height, width, channels = shape
        count = 0
        for more in model["channels"]:
            count += _KERNEL * channels * more + more
            height, width, channels = -(-height // 2), -(-width // 2), more
        return count + _dense([height * width * channels, model["width"], classes])
    return None


def _dense(widths: Sequence[int]) -> int:
    return sum(a * b + b for a, b in itertools.pairwise(widths))
