"""How many parameters a model will have, where that is easily told without making it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

_KERNEL = 3 * 3  # of a convolution of a `cnn`


def parameters(model: Mapping[str, Any], shape: Sequence[int], classes: int) -> int | None:
    """Parameters of a model on examples of a shape; None of an extension's.

    A dense layer of a inputs and b units has a b + b, a convolution of a and b channels that sees k positions k a b, and b if
    it has a bias, normalisation 2 a channel.

    >>> parameters({"name": "wide_resnet", "depth": 28, "width": 10}, (32, 32, 3), 10)  # 36.5 million in the WRN paper
    36479194
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
    if model["name"] == "wide_resnet":
        stages = [(16 * model["width"] * 2**stage, (model["depth"] - 4) // 6) for stage in range(3)]
        return _residual(shape[-1], 16, stages, _KERNEL, classes)
    if model["name"] == "resnet1d":
        stages = [(model["width"] * 2**stage, blocks) for stage, blocks in enumerate(model["blocks"])]
        channels = shape[1] if len(shape) > 1 else 1
        return _residual(channels, model["width"], stages, model["kernel_size"], classes)
    if model["name"] == "resnet":
        return _bottlenecks(shape[-1], model["width"], model["blocks"], classes)
    if model["name"] == "vit":
        *sides, channels = shape if len(shape) > 1 else (*shape, 1)
        width, patch = model["width"], model["patch"]
        tokens = math.prod(side // patch for side in sides)
        attention, hidden = 4 * (width * width + width), model["mlp_ratio"] * width
        layer = attention + _dense([width, hidden, width]) + 2 * 2 * width
        return (
            _dense([patch ** len(sides) * channels, width])
            + tokens * width
            + model["depth"] * layer
            + 2 * width
            + _dense([width, classes])
        )
    return None


def _residual(channels: int, first: int, stages: Sequence[tuple[int, int]], positions: int, classes: int) -> int:
    """Pre-activation blocks of two convolutions; ``stages`` are channels and blocks of each."""
    count, there = positions * channels * first, first
    for stage, (width, blocks) in enumerate(stages):
        for block in range(blocks):
            shortcut = 0 if there == width and (block or not stage) else there * width
            count += 2 * there + shortcut + positions * there * width + 2 * width + positions * width * width
            there = width
    return count + 2 * there + _dense([there, classes])


def _bottlenecks(channels: int, width: int, blocks: Sequence[int], classes: int) -> int:
    """Blocks of 1×1, 3×3 and 1×1 convolutions, each normalised, after one of 7×7."""
    count, there = 7 * 7 * channels * width + 2 * width, width
    for stage, number in enumerate(blocks):
        inside = width * 2**stage
        for block in range(number):
            shortcut = 0 if block else there * 4 * inside + 2 * 4 * inside
            count += there * inside + _KERNEL * inside * inside + inside * 4 * inside + 2 * (2 * inside + 4 * inside)
            count, there = count + shortcut, 4 * inside
    return count + _dense([there, classes])


def _dense(widths: Sequence[int]) -> int:
    return sum(a * b + b for a, b in itertools.pairwise(widths))
