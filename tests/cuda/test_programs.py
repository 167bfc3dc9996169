"""Steps as a GPU gets them, on a machine without one: lowered for CUDA, and some compiled to code of an H100 and of an A100.

Nothing runs. What these programs compute is tested where they run on a CPU: loops in tests/methods/test_transforms.py, and
several devices in tests/training/test_devices.py.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import pytest

from nmepkg.planning import ahead
from nmepkg.registry import METHODS
from tests.training.runs import make_spec, method

pytestmark = pytest.mark.cuda
COLLECTIVES = r" (all-reduce|all-gather|all-to-all|collective-permute|collective-broadcast|reduce-scatter)(?:-start)?\("
RESNET = {"name": "resnet", "blocks": [1, 1], "width": 16}
SIDE, BATCH = 32, 32


@pytest.fixture(autouse=True, scope="module")
def plugin() -> None:
    try:
        ahead.described("h100", 1)
    except Exception as error:
        pytest.skip(f"JAX cannot compile for CUDA here: {str(error).splitlines()[0]}; call make test-cuda")


def spec(name: str, model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Of a small WideResNet, or of a dense network for a method that takes single examples."""
    training = {"batch_size": BATCH, **{key: changes.pop(key) for key in ("precision", "accumulate") if key in changes}}
    if METHODS[name].per_example:
        model = {"name": "mlp", "width": 8, "depth": 1, "batch_norm": False, "layer_norm": False}
    elif "accumulate" in training:
        training["batch_norm_group"] = 2  # one a device
    crop = {"name": "pad_crop_flip", "padding": 2, "flip": True}
    made = make_spec(augmentation=crop, method=method(name, 0.1) | changes, training=training)
    images = {"name": "generated", "shape": [SIDE, SIDE, 3], "classes": 10, "train": 128, "test": 32, "seed": 0}
    return {**made, "data": images, "model": model or {"name": "wide_resnet", "depth": 10, "width": 1}}


VARIANTS: dict[str, tuple[dict[str, int], int]] = {
    "plain": ({}, 0),
    "samples 3": ({"samples": 3}, 1),
    "m": ({"m": 4}, 1),
    "accumulate": ({"accumulate": 2}, 2),  # one forward and one backward at least
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("name", "variant"),
    [
        (name, variant)
        for name, method in METHODS.items()
        for variant, (options, _) in VARIANTS.items()
        if options.keys() <= {*method.options, "accumulate"}
    ],
)
def test_every_method_lowers_for_cuda(name: str, variant: str, precision: str) -> None:
    """With a loop where parts are taken in turn, and none elsewhere."""
    options, loops = VARIANTS[variant]
    text = ahead.lowered(spec(name, precision=precision, **options), "step", ahead.described("h100", 1)).as_text()
    found = text.count("stablehlo.while") - METHODS[name].per_example  # its loop over examples
    assert found >= loops if variant == "accumulate" else found == loops
    assert ("bf16" in text) == (precision == "bfloat16")


@cache
def compiled(card: str, count: int, name: str, model: str = "", **changes: Any) -> tuple[str, int]:
    """The program's text and its temporary memory."""
    made = spec(name, RESNET if model else None, **changes)
    found = ahead.lowered(made, "step", ahead.described(card, count)).compile()
    return found.as_text(), ahead.memory(found)["temporary"]


@pytest.mark.parametrize(
    ("card", "name", "options"),
    [
        ("h100", "psam", {}),
        ("a100-80", "hessian_trace", {"samples": 3}),
        ("h100", "sam", {"m": 2}),
        ("h100", "psam", {"accumulate": 2}),
    ],
    ids=str,
)
def test_eight_devices_send_one_another_sums(card: str, name: str, options: dict[str, int]) -> None:
    """All-reduces and nothing else: no examples, activations or parameters are moved."""
    text, _ = compiled(card, 8, name, **options)
    assert set(re.findall(COLLECTIVES, text)) == {"all-reduce"}


def test_one_device_sends_nothing_and_convolves_by_cudnn() -> None:
    for card in ("h100", "a100-80"):
        text, _ = compiled(card, 1, "psam")
        assert not re.findall(COLLECTIVES, text)
        assert text.count("__cudnn$conv") > 10
        assert " while(" not in text


@pytest.mark.parametrize("name", ["gn_trace", "hessian_trace"])
def test_samples_are_a_loop_that_takes_the_memory_of_one(name: str) -> None:
    (_, one), (text, three) = compiled("h100", 1, name), compiled("h100", 1, name, samples=3)
    assert text.count(" while(") == 1
    assert three < 1.1 * one


def test_groups_parts_and_half_precision_take_less_memory() -> None:
    _, whole = compiled("h100", 1, "psam")
    for options in ({"m": 4}, {"accumulate": 2}, {"precision": "bfloat16"}):
        text, part = compiled("h100", 1, "psam", **options)
        assert part < 0.9 * whole, options
        assert (" while(" in text) == ("precision" not in options)


def test_convolutions_of_one_pixel_copy_no_activations() -> None:
    """They stay convolutions on a GPU, as XLA transposes nothing for them there; see ``nmepkg.models.layers.convolution``."""
    text, _ = compiled("h100", 1, "psam", "resnet")
    least = BATCH * (SIDE // 4) ** 2 * RESNET["width"]  # an activation of the first blocks
    shapes = re.findall(r"= f32\[([\d,]+)\]\S* transpose\(", text)
    assert max((math.prod(map(int, shape.split(","))) for shape in shapes), default=0) < least
    assert len(re.findall(r"window={size=1x1[^\n]*__cudnn\$conv", text)) > 30
