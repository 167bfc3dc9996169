"""Models too large for a measurement are refused before anything is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from nmepkg.errors import UserError
from nmepkg.models.resnet1d import ResNet1D
from nmepkg.planning import models
from nmepkg.planning.plan import Plan
from nmepkg.study import suited
from nmepkg.study.sizes import parameters
from tests.study.samples import study

RESNET = ("{name: mlp, width: 4, depth: 1}", "{name: resnet1d, width: 3, blocks: [1, 1]}")


@pytest.fixture(autouse=True)
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a ResNet nothing is told beforehand, as of an extension's model."""

    def told(model: Any, *rest: Any) -> int | None:
        return None if model["name"] == "resnet1d" else parameters(model, *rest)

    for module in (models, suited):
        monkeypatch.setattr(module, "parameters", told)


def planned(folder: Path, most: int, *edits: tuple[str, str]) -> Plan:
    blocks = f"measurements: {{blocks: {{kind: nme_blocks, max_parameters: {most}, examples: 16}}}}\nexperiments:\n"
    measured = ("seeds: [0, 1]", "seeds: [0]\n    measurements: [blocks]")
    return Plan(study(folder, ("experiments:\n", blocks), measured, *edits), {})


def test_a_model_that_the_loader_does_not_count(tmp_path: Path) -> None:
    model = ResNet1D(classes=10, activation=jax.nn.relu, width=3, blocks=(1, 1))
    variables = model.init(jax.random.key(0), jnp.zeros((2, 40)), train=False)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    plan = planned(tmp_path, count, RESNET)
    models.refuse_too_large(plan, plan.expansion.measurements)
    plan = planned(tmp_path, count - 1, RESNET)
    with pytest.raises(UserError) as caught:
        models.refuse_too_large(plan, plan.expansion.measurements)
    run = next(iter(plan.expansion.runs))
    assert str(caught.value) == (
        f"{plan.study.path}: measurements: the model of {run} has {count} parameters, more than max_parameters of nme_blocks, "
        f"{count - 1}; raise it, or measure a smaller model"
    )


def test_nothing_is_started_for_what_is_counted_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_count", lambda specs: pytest.fail("started"))
    plan = planned(tmp_path, 10_000)
    models.refuse_too_large(plan, plan.expansion.measurements)
    models.refuse_too_large(planned(tmp_path, 10_000, RESNET), [])


def test_models_that_cannot_be_counted_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, 10_000, RESNET)
    monkeypatch.setattr(models, "PACKAGE", tmp_path / "nowhere" / "nmepkg")
    monkeypatch.setattr(models.sys, "executable", "/bin/false")
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(UserError, match=re.escape("run: python -m nmepkg doctor")):
        models.refuse_too_large(plan, plan.expansion.measurements)
