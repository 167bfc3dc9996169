"""Counted without the model, against the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from nmepkg import activations
from nmepkg.errors import UserError
from nmepkg.registry import MODELS
from nmepkg.study.sizes import parameters
from tests.study.samples import study

MODELS_OF_A_SIZE: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({"name": "mlp", "width": 4, "depth": 0, "batch_norm": True, "layer_norm": False}, (40,)),
    ({"name": "mlp", "width": 5, "depth": 3, "batch_norm": True, "layer_norm": False}, (4, 4, 3)),
    ({"name": "mlp", "width": 5, "depth": 2, "batch_norm": False, "layer_norm": False}, (40,)),
    ({"name": "mlp", "width": 5, "depth": 2, "batch_norm": False, "layer_norm": True}, (40,)),
    ({"name": "cnn", "channels": [4, 5], "width": 6}, (9, 6, 3)),
    ({"name": "wide_resnet", "depth": 16, "width": 1}, (8, 8, 1)),
    ({"name": "resnet", "blocks": [1, 2], "width": 4}, (16, 16, 3)),
    ({"name": "resnet1d", "width": 4, "blocks": [2, 1], "kernel_size": 5}, (12,)),
    ({"name": "vit", "patch": 4, "depth": 2, "width": 6, "heads": 2, "mlp_ratio": 3}, (8, 12, 3)),
    ({"name": "vit", "patch": 4, "depth": 1, "width": 6, "heads": 2, "mlp_ratio": 4}, (40,)),
]


@pytest.mark.parametrize(("model", "shape"), MODELS_OF_A_SIZE)
def test_parameters_are_those_of_the_model(model: dict[str, Any], shape: tuple[int, ...]) -> None:
    options = {key: value for key, value in model.items() if key != "name"}
    made = MODELS[model["name"]].load()(classes=7, activation=activations.relu, **options)
    shapes = jax.eval_shape(lambda: made.init(jax.random.key(0), jnp.zeros((2, *shape)), train=False))
    assert parameters(model, shape, 7) == sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def test_of_an_extensions_model_nothing_is_told() -> None:
    assert parameters({"name": "mine"}, (8, 8, 3), 10) is None


def test_a_model_too_large_for_its_measurement_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    def edits(most: int) -> tuple[tuple[str, str], ...]:
        blocks = f"measurements: {{blocks: {{kind: nme_blocks, max_parameters: {most}, examples: 16}}}}\nexperiments:\n"
        return ("experiments:\n", blocks), ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [blocks]")

    count = 40 * 4 + 4 + 4 * 10 + 10
    assert study(tmp_path, *edits(count))
    with pytest.raises(UserError, match=rf"the model of setup 'mlp' has {count} parameters, more than"):
        study(tmp_path, *edits(count - 1))


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ((), None),
        (
            (("probe: basis", "probe: basis, samples: [1, 2]"),),
            "'nme_trace' takes every basis vector once, and samples is 2; leave it out",
        ),
        (
            (("width: 4, depth: 1", "width: 128, depth: 2"),),
            "'nme_trace' takes a pass for each basis vector, of 20000 parameters at most, and the model of setup 'mlp' "
            "has 23050; take another probe or a smaller model",
        ),
    ],
)
def test_a_sum_over_the_basis_is_of_small_models(
    edits: tuple[tuple[str, str], ...], message: str | None, tmp_path: Path
) -> None:
    basis = (
        ("[sam, psam]", "[{name: nme_trace, probe: basis}]"),
        ("rho: [0, 0.1]", "sigma2: [0, 0.1]"),
        ("x: rho", "x: sigma2"),
    )
    if message is None:
        assert study(tmp_path, *basis, *edits)
        return
    with pytest.raises(UserError) as caught:
        study(tmp_path, *basis, *edits)
    assert str(caught.value).endswith(f"experiments.main.methods: {message}")
