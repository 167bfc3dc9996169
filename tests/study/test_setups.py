"""Setups whose parts do not go together, and the examples and steps that those have which do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmepkg.data.splits import split
from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.specs import Subset, Validation
from nmepkg.study.setups import counts
from nmepkg.study.spec import Resources
from tests.study.samples import study

CONV = (
    ("{name: mnist1d, samples: 200}", "{name: generated, shape: [8, 8, 1], train: 64, test: 32}"),
    ("{name: mlp, width: 4, depth: 1}", "{name: wide_resnet, depth: 10, width: 1}"),
)
IMAGENET = (
    ("{name: mnist1d, samples: 200}", "imagenet2012"),
    ("{name: mlp, width: 4, depth: 1}", "resnet"),
)


def training(keys: str, *edits: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*edits, ("batch_size: 16", f"batch_size: 16, {keys}"))


def added(keys: str, *edits: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*edits, ("    optimizer:", f"    {keys}\n    optimizer:"))


# Edits of the small study, which trains on 144 examples, and how the refusal begins after the name of the file.
BAD: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "batch beyond the examples": (
        (("batch_size: 16", "batch_size: 145"),),
        "setups.mlp.training.batch_size: 145 is more than the 144 examples to train on; lower it",
    ),
    "batch beyond the subset": (
        added("subset: {train: 15}"),
        "setups.mlp.training.batch_size: 16 is more than the 15 examples to train on; lower it",
    ),
    "subset beyond the examples": (
        added("subset: {train: 145}"),
        "setups.mlp.subset.train: 145 is more than the 144 examples that there are; lower it",
    ),
    "subset beyond the test examples": (
        added("subset: {test: 41}"),
        "setups.mlp.subset.test: 41 is more than the 40 examples that there are; lower it",
    ),
    "nothing to train on": (
        added("validation: {fraction: 0.999}"),
        "setups.mlp.validation.fraction: 0.999 leaves none of 160 examples to train on; lower it",
    ),
    "patches that do not divide a sequence": (
        (("{name: mlp, width: 4, depth: 1}", "{name: vit, patch: 3, depth: 1, width: 8, heads: 2}"),),
        "setups.mlp.model.patch: 3 does not divide a sequence of 40 positions; choose a divisor",
    ),
    "two normalisations": (
        (("depth: 1", "depth: 1, batch_norm: true, layer_norm: true"),),
        "setups.mlp.model.layer_norm: the model has batch_norm already; set one of them to false",
    ),
    "LayerNorm of one feature": (
        (("width: 4, depth: 1", "width: 1, depth: 1, layer_norm: true"),),
        "setups.mlp.model.layer_norm: makes the 1 feature of a layer 0; take a width of 2 or more",
    ),
    "wrong labels of streamed images": (
        added("label_noise: {fraction: 0.1}", *IMAGENET),
        "setups.mlp.label_noise.fraction: labels of 'imagenet2012' are streamed with its images, and stay as they are; set it",
    ),
    "parts that do not divide": (
        training("accumulate: 3"),
        "setups.mlp.training.accumulate: 3 parts do not divide the batch of 16; choose a divisor",
    ),
    "groups without BatchNorm": (
        training("batch_norm_group: 4"),
        "setups.mlp.training.batch_norm_group: the model 'mlp' has no BatchNorm here; set it to null",
    ),
    "groups that do not divide": (
        training("batch_norm_group: 5", *CONV),
        "setups.mlp.training.batch_norm_group: groups of 5 do not divide the batch of 16; choose a divisor",
    ),
    "groups larger than a part": (
        training("batch_norm_group: 8, accumulate: 4", *CONV),
        "setups.mlp.training.batch_norm_group: groups of 8 do not divide the 4 examples that are each of 4 parts of a batch",
    ),
    "a method's groups that parts do not divide": (
        (("batch_size: 16", "batch_size: 24, accumulate: 3"), ("[sam, psam]", "[{name: sam, m: 12}]")),
        "experiments.main.methods: groups of m = 12 cannot be taken in parts of 8 examples, as setups.mlp.training.accumulate",
    ),
    "a method's groups and BatchNorm's": (
        training("batch_norm_group: 8", *CONV, ("[sam, psam]", "[{name: sam, m: 4}]")),
        "experiments.main.methods: groups of m = 4 cannot be split into setups.mlp.training.batch_norm_group, 8; choose",
    ),
    "augmentation of streamed data": (
        added("augmentation: resized_crop_flip"),
        "setups.mlp.augmentation: 'resized_crop_flip' is not for 'mnist1d', whose examples lie on the device; choose from none",
    ),
    "streamed data without theirs": (
        added("augmentation: pad_crop_flip", *IMAGENET),
        "setups.mlp.augmentation: 'pad_crop_flip' is not for 'imagenet2012', whose examples are streamed; choose from none, r",
    ),
    "augmentation of no images": (
        added("augmentation: pad_crop_flip"),
        "setups.mlp.augmentation: 'pad_crop_flip' needs images, and 'mnist1d' has none; choose 'none'",
    ),
    "padding beyond the image": (
        added("augmentation: {name: pad_crop_flip, padding: 8}", *CONV),
        "setups.mlp.augmentation.padding: 8 is not below the 8 pixels of an image; lower it",
    ),
    "unknown augmentation": (
        added("augmentation: pad_crop"),
        "setups.mlp.augmentation: unknown augmentation 'pad_crop'; did you mean 'pad_crop_flip'?",
    ),
    "a depth that no wide network has": (
        (CONV[0], (CONV[1][0], "{name: wide_resnet, depth: 12, width: 1}")),
        "setups.mlp.model.depth: 12 is not 6 n + 4 for blocks n ≥ 1; take 10, 16, 22, 28 or more",
    ),
    "a model of images without images": (
        CONV[1:],
        "setups.mlp.model: 'wide_resnet' does not take the examples of 'mnist1d', whose shape is [40]; choose from mlp, r",
    ),
    "patches that do not fit": (
        (CONV[0], (CONV[1][0], "{name: vit, patch: 3, depth: 1, width: 8, heads: 2}")),
        "setups.mlp.model.patch: 3 does not divide an image of 8 by 8 pixels; choose a divisor",
    ),
    "heads that do not fit": (
        (CONV[0], (CONV[1][0], "{name: vit, patch: 4, depth: 1, width: 8, heads: 3}")),
        "setups.mlp.model.heads: 3 do not divide the width of 8; choose a divisor",
    ),
    "warm-up from above the peak": (
        (("learning_rate: 0.1", "learning_rate: 0.1, warmup_from: 2"),),
        "setups.mlp.optimizer.warmup_from: 2 is above the largest allowed value, 1",
    ),
    "unknown precision": (
        training("precision: float16"),
        "setups.mlp.training.precision: unknown value 'float16'; did you mean",
    ),
    "a measurement of too few": (
        (
            (
                "experiments:\n",
                "measurements:\n  it: {kind: alignment, split: validation, batch_size: 20}\nexperiments:\n",
            ),
            ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [it]"),
        ),
        "experiments.main.measurements[0]: 'it' takes 16 examples of validation, which fill no batch of 20 of setup 'mlp'; ",
    ),
    "an edge that is of SGD": (
        (
            ("learning_rate: 0.1", "name: adamw, learning_rate: 0.1"),
            ("experiments:\n", "measurements: {it: {kind: edge_of_stability}}\nexperiments:\n"),
            ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [it]"),
        ),
        "experiments.main.measurements[0]: 'it' is right for the optimizer 'sgd' only, and setup 'mlp' has 'adamw'; take",
    ),
    "GPUs that a batch cannot be shared out among": (
        added("resources: {gpus: 3}"),
        "setups.mlp.resources.gpus: 3 GPUs cannot share the batch of 16 evenly; choose a divisor",
    ),
    "BatchNorm over one example": (
        (("width: 4, depth: 1", "width: 4, depth: 1, batch_norm: true"), ("batch_size: 16", "batch_size: 1")),
        "setups.mlp.training.batch_size: 1 example at once leaves BatchNorm of the model 'mlp' one value of a feature",
    ),
    "BatchNorm over a batch in parts": (
        training("accumulate: 4", ("width: 4, depth: 1", "width: 4, depth: 1, batch_norm: true")),
        "setups.mlp.training.accumulate: BatchNorm normalises all of a batch, which cannot be taken in parts then; set "
        "batch_norm_group to 4 or a divisor of it",
    ),
    "BatchNorm over groups of one example": (
        training("batch_norm_group: 1", ("width: 4, depth: 1", "width: 4, depth: 1, batch_norm: true")),
        "setups.mlp.training.batch_norm_group: a group of 1 leaves BatchNorm of the model 'mlp' one value",
    ),
    "a method's groups of one example": (
        (("width: 4, depth: 1", "width: 4, depth: 1, batch_norm: true"), ("[sam, psam]", "[{name: sam, m: 1}]")),
        "experiments.main.methods: groups of m = 1 of setup 'mlp': one example leaves BatchNorm of",
    ),
    "one image of one position": (
        (*CONV, ("shape: [8, 8, 1]", "shape: [4, 3, 1]"), ("batch_size: 16", "batch_size: 1")),
        "setups.mlp.training.batch_size: 1 example at once leaves BatchNorm of the model 'wide_resnet' one value",
    ),
    "a measurement of one example": (
        (
            ("width: 4, depth: 1", "width: 4, depth: 1, batch_norm: true"),
            ("experiments:\n", "measurements:\n  it: {kind: alignment, batch_size: 1}\nexperiments:\n"),
            ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [it]"),
        ),
        "experiments.main.measurements[0]: 'it' takes batches of 1 of setup 'mlp': one example leaves BatchNorm of",
    ),
    "no processor": (
        added("resources: {cpus: 0}"),
        "setups.mlp.resources.cpus: 0 is below the smallest allowed value, 1",
    ),
    "no memory": (
        added("resources: {memory_gb: 0}"),
        "setups.mlp.resources.memory_gb: 0 is below the smallest allowed value, 0.1",
    ),
    "a need that is none": (
        added("resources: {gpu: 1}"),
        "setups.mlp.resources: unknown key 'gpu'; did you mean 'gpus'?",
    ),
    "no run a job": (added("runs_per_job: 0"), "setups.mlp.runs_per_job: 0 is below the smallest allowed value, 1"),
    "more runs at once than a job has": (
        added("resources: {cpus: 4}\n    runs_at_once: 4"),
        "setups.mlp.runs_at_once: 4 at once of the 1 that a job has; set runs_per_job to 4 or a multiple of it",
    ),
    "more runs at once than cores": (
        added("resources: {gpus: 1}\n    runs_per_job: 8\n    runs_at_once: 4"),
        "setups.mlp.runs_at_once: 4 runs cannot share resources.cpus: 1, as each takes one; ask for 4",
    ),
    "several GPUs for runs at once": (
        added("resources: {gpus: 2, cpus: 4}\n    runs_per_job: 8\n    runs_at_once: 4"),
        "setups.mlp.runs_at_once: 4 runs at once share one GPU, and resources.gpus is 2; set that to 1",
    ),
    "a part of a GPU": (
        added("resources: {gpus: 0.25}"),
        "setups.mlp.resources.gpus: 0.25 is not a whole number; write, say, 1",
    ),
    "no time": (added("device_hours: 0"), "setups.mlp.device_hours: 0 is not above 0; write a larger one"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_in_one_line_with_place_and_remedy(case: str, tmp_path: Path) -> None:
    edits, message = BAD[case]
    with pytest.raises(UserError) as caught:
        study(tmp_path, *edits)
    line = str(caught.value)
    assert line.removeprefix(f"{tmp_path / 'study.yaml'}: ").startswith(message)
    assert "\n" not in line


@pytest.mark.parametrize(
    "edits",
    [
        (("batch_size: 16", "batch_size: 144"),),
        added("subset: {train: 144, test: 40}"),
        training("batch_norm_group: 2, accumulate: 4", *CONV, ("[sam, psam]", "[{name: sam, m: 4}]")),
        added("augmentation: {name: pad_crop_flip, padding: 7}", *CONV),
        added("augmentation: resized_crop_flip", *IMAGENET),
        added("resources: {gpus: 16}"),
        IMAGENET,
        (("batch_size: 16", "batch_size: 1"),),  # no BatchNorm
        (*CONV, ("batch_size: 16", "batch_size: 1")),  # over positions
        (*CONV, ("shape: [8, 8, 1]", "shape: [4, 3, 1]"), ("batch_size: 16", "batch_size: 2")),
    ],
)
def test_takes_what_just_goes(edits: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    assert study(tmp_path, *edits).setups


@pytest.mark.parametrize("fraction", [0, 0.1, 0.33, 0.5])
@pytest.mark.parametrize("subset", [{}, {"train": 50, "test": 7}])
def test_counts_are_those_of_the_split(fraction: float, subset: dict[str, Any], tmp_path: Path) -> None:
    spec = study(tmp_path, *added(f"validation: {{fraction: {fraction}}}\n    subset: {subset}")).setups["mlp"].spec
    counted, parts = counts(spec), split(Validation(**spec["validation"]), Subset(**spec["subset"]), 160, 40)
    assert (counted.train, counted.validation, counted.test) == tuple(map(len, parts))
    assert counted.steps == len(parts.train) // 16


def test_an_estimate_of_time_is_no_part_of_a_run(tmp_path: Path) -> None:
    before = set(expand(study(tmp_path)).runs)
    timed = study(tmp_path, *added("device_hours: 2\n    device: A100"))
    assert (timed.setups["mlp"].device_hours, timed.setups["mlp"].device) == (2.0, "A100")
    assert set(expand(timed).runs) == before


def test_what_a_job_needs_is_no_part_of_a_run(tmp_path: Path) -> None:
    before = set(expand(study(tmp_path)).runs)
    asking = study(tmp_path, *added("resources: {gpus: 2, cpus: 4, memory_gb: 0.5}\n    runs_per_job: 8"))
    sharing = study(tmp_path, *added("resources: {gpus: 1, cpus: 4}\n    runs_per_job: 8\n    runs_at_once: 4"))
    assert asking.setups["mlp"].resources == Resources(gpus=2, cpus=4, memory_gb=0.5, hours=1.0)
    assert (asking.setups["mlp"].runs_per_job, asking.setups["mlp"].runs_at_once) == (8, 1)
    assert sharing.setups["mlp"].runs_at_once == 4
    assert set(expand(asking).runs) == set(expand(sharing).runs) == before
