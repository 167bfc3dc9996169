"""A study in small is a study, has its shape, and nothing that takes time."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.registry import MODELS
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.study.setups import counts
from nmepkg.study.spec import Study

CONFIG = Path(__file__).resolve().parents[2] / "config"
STUDIES = sorted(path.name for path in CONFIG.glob("*.yaml"))

# All that is hard to shrink: groups, parts, steps, grids, streamed data, patches.
HARD = """\
version: 1
name: hard
setups:
  images:
    data: {name: imagenet2012, size: 48}
    validation: {fraction: 0.001}
    subset: {train: 100000, test: 1000}
    augmentation: resized_crop_flip
    model: {name: vit, patch: 12, depth: 3, width: 96, heads: 3}
    optimizer: {learning_rate: 0.1, warmup_epochs: 5}
    training: {epochs: 9, batch_size: 96, accumulate: 3, evaluate_train: 100}
  sequences:
    data: mnist1d
    validation: {fraction: 0}
    model: {name: resnet1d, width: 8, blocks: [2, 2]}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 9, batch_size: 96, accumulate: 3, batch_norm_group: 4}
measurements:
  spectrum: {kind: spectrum, at: [initial, 1, 2, 4, 8, 16, 32, 64, 128, 50%, final], split: test, batch_size: 24}
  traces: {kind: traces, split: validation}
experiments:
  groups:
    setups: [images, sequences]
    methods: [{name: [sam, psam], m: [4, 8, 16, null]}, {name: usam, m: 32}, {name: psam_fd, step: [0.1, 0.2, 0.3]}]
    activations: [{name: beta_gelu, beta: [1, 10, 100]}]
    rho: [0.3, 0, 0.1, 0.2]
    seeds: [7, 8, 9]
    measurements: [spectrum]
  validated: {setups: [images], methods: [sgd], activations: [gelu], seeds: [0], measurements: [traces]}
figures:
  step: {experiments: [validated], measurement: traces, x: step, y: tr_H, x_scale: linear}
"""


def small(text: str, folder: Path) -> Study:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, {"smoke": True})


@pytest.mark.parametrize("name", STUDIES)
def test_the_studies_keep_their_shape(name: str) -> None:
    whole, little = load(CONFIG / name), load(CONFIG / name, {"smoke": True})
    assert little.name == f"{whole.name}-smoke"
    assert list(little.figures.items()) == list(whole.figures.items())
    for part in ("setups", "experiments", "measurements", "landscapes"):
        assert list(getattr(little, part)) == list(getattr(whole, part))
    for experiment, before in zip(little.experiments.values(), whole.experiments.values(), strict=True):
        assert (experiment.setups, experiment.measurements) == (before.setups, before.measurements)
        assert experiment.seeds == before.seeds[:1]
        assert dict.fromkeys(m["name"] for m in experiment.methods) == dict.fromkeys(m["name"] for m in before.methods)


@pytest.mark.parametrize("name", STUDIES)
def test_every_training_is_a_few_steps_of_a_small_model(name: str) -> None:
    expansion = expand(load(CONFIG / name, {"smoke": True}))
    for run in expansion.runs.values():
        spec = run.spec
        assert {"generated", "mnist1d"} >= {spec["data"]["name"]}
        assert spec["training"]["epochs"] == 1
        assert 6 <= counts(spec).steps <= 15
        assert {**spec["model"], **MODELS[spec["model"]["name"]].small} == spec["model"]
    assert len(expansion.runs) <= 250
    for panels in expansion.landscapes.values():
        assert all(spec["points"] == 11 for spec, _ in ((job.spec, job) for _, job in panels))


def test_what_must_divide_still_does_and_what_must_differ_still_differs(tmp_path: Path) -> None:
    study = small(HARD, tmp_path)
    methods = study.experiments["groups"].methods
    assert [method.get("m") for method in methods] == [2, None, 2, None, 4, None, None]
    batch = study.setups["images"].spec["training"]["batch_size"]
    assert study.setups["images"].spec["training"]["accumulate"] == 2
    assert (batch // 2) % 4 == 0
    assert study.setups["sequences"].spec["training"]["batch_norm_group"] == 2
    assert len(expand(study).cells) > 0


def test_grids_keep_their_ends(tmp_path: Path) -> None:
    experiment = small(HARD, tmp_path).experiments["groups"]
    assert experiment.strengths["rho"] == (0.3, 0.0, 0.1)
    assert [activation["beta"] for activation in experiment.activations] == [1.0, 100.0]
    assert [method["step"] for method in experiment.methods if "step" in method] == [0.1, 0.3]
    assert experiment.seeds == (7,)


def test_steps_stay_apart_as_far_as_there_are_some(tmp_path: Path) -> None:
    study = small(HARD, tmp_path)
    assert study.measurements["spectrum"]["at"] == ["initial", 1, 2, 3, 4, 5, "50%", "final"]
    assert counts(study.setups["images"].spec).steps == 6


def test_measurements_fill_a_batch_of_what_there_is(tmp_path: Path) -> None:
    measurements = small(HARD, tmp_path).measurements
    assert measurements["spectrum"] | {"at": None} == {
        "kind": "spectrum", "at": None, "split": "test", "examples": 16, "batch_size": 8, "batch_norm": "train", "seed": 0,
        "steps": 4, "samples": 2, "top": 2,
    }  # fmt: skip
    assert measurements["traces"]["samples"] == 2


def test_images_are_generated_small_and_no_estimate_or_source_is_left(tmp_path: Path) -> None:
    study = small(
        HARD.replace("    data: {name: imagenet2012", "    device_hours: 9\n    data: {name: imagenet2012"), tmp_path
    )
    setup = study.setups["images"]
    assert setup.spec["data"] == {
        "name": "generated", "shape": [32, 32, 3], "classes": 10, "train": 64, "test": 32, "seed": 0,
    }  # fmt: skip
    assert setup.spec["augmentation"] == {"name": "pad_crop_flip", "padding": 4, "flip": True}
    assert setup.spec["model"]["patch"] == 4
    assert (setup.device_hours, study.sources) == (None, {})
    assert study.setups["sequences"].spec["data"] == {"name": "mnist1d", "seed": 42, "samples": 200, "test": None}


def test_a_test_set_of_its_own_size_is_small_and_still_drawn(tmp_path: Path) -> None:
    study = small(HARD.replace("data: mnist1d", "data: {name: mnist1d, test: 10000}"), tmp_path)
    data = study.setups["sequences"].spec["data"]
    assert data["samples"] // 5 < data["test"] == 200


def test_a_small_batch_is_shared_out_among_fewer_gpus(tmp_path: Path) -> None:
    asking = "    resources: {gpus: 16, cpus: 4, hours: 24}\n    data: {name: imagenet2012"
    resources = small(HARD.replace("    data: {name: imagenet2012", asking), tmp_path).setups["images"].resources
    assert (resources.gpus, resources.cpus, resources.hours) == (4, 4, 0.5)


def test_a_small_study_of_a_selection(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(HARD, encoding="utf-8")
    study = load(path, {"smoke": True, "select": ["sequences"]})
    assert (list(study.setups), list(study.figures)) == (["sequences"], [])
