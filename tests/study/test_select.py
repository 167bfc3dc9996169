"""What is left of a study of which some setups are selected."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.storage import Store
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.upkeep.registration import register, registered

STUDY = """\
version: 1
name: two
setups:
  small: &small
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
  large: {<<: *small, model: {name: mlp, width: 8, depth: 1}}
  spare: {<<: *small, model: {name: mlp, width: 9, depth: 1}}
landscapes:
  plane: {model: {name: mlp, width: 4, depth: 1}, inputs: 3, activations: [relu], weights: [[0, 0], [1, 1]], range: [-1, 1]}
experiments:
  both: {setups: [small, large], methods: [sam], activations: [relu], rho: [0, 0.1], seeds: [0]}
  penalties: {setups: [large], methods: [hessian_trace], activations: [relu], sigma2: [0.1], seeds: [0]}
  plain: {setups: [small], methods: [sgd], activations: [relu], seeds: [0]}
figures:
  both: {experiments: [both], x: rho, rows: setup}
  mixed: {experiments: [plain, penalties], x: sigma2, rows: setup, lines: method}
  penalties: {experiments: [penalties], x: sigma2}
  plane: {kind: landscape, landscape: plane}
"""


def selected(folder: Path, *names: str) -> Study:
    path = folder / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return load(path, {"select": list(names)} if names else {})


def test_experiments_lose_the_other_setups(tmp_path: Path) -> None:
    whole, left = selected(tmp_path), selected(tmp_path, "small")
    assert list(left.setups) == ["small"]
    assert {name: experiment.setups for name, experiment in left.experiments.items()} == {
        "both": ("small",),
        "plain": ("small",),
    }
    assert left.select == ("small",)
    assert set(expand(left).runs) == {
        cell.run_id for cell in expand(whole).cells if cell.setup == "small" and cell.experiment == "both"
    }


def test_figures_go_that_no_longer_make_sense(tmp_path: Path) -> None:
    assert list(selected(tmp_path).figures) == ["both", "mixed", "penalties", "plane"]
    left = selected(tmp_path, "small").figures
    assert list(left) == ["both", "plane"], "without its second experiment, 'mixed' has no axis 'sigma2'"
    assert list(selected(tmp_path, "large").figures) == ["both", "mixed", "penalties", "plane"]


def test_the_order_is_that_of_the_study(tmp_path: Path) -> None:
    assert list(selected(tmp_path, "large", "small").setups) == ["small", "large"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["smal"], "select[0]: unknown setup 'smal'; did you mean 'small'?"),
        (["spare"], "select: no experiment has spare; name a setup that one has"),
        (["small", "small"], "select: 'small' is listed twice; remove one"),
    ],
)
def test_what_cannot_be_selected(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        selected(tmp_path, *names)
    assert str(caught.value) == f"{tmp_path / 'study.yaml'}: {message}"


def test_the_whole_study_is_checked_whatever_is_selected(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("x: sigma2}", "x: rho}"), encoding="utf-8")
    with pytest.raises(UserError, match=r"figures\.penalties\.x: no axis 'rho'"):
        load(path, {"select": ["small"]})


def test_a_selection_is_registered_beside_the_whole(tmp_path: Path) -> None:
    """Who tidies up must not take what the whole study uses for left over, because a part of it ran last."""
    for study in (selected(tmp_path), selected(tmp_path, "small")):
        expansion = expand(study)
        register(Study(**{**vars(study), "store": str(tmp_path / "store")}), expansion)
    assert sorted(len(content["runs"]) for content in registered(Store(tmp_path / "store"))) == [2, 5]
