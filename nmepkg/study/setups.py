"""Checks of a setup: its parts go together, and there are as many examples as it asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nmepkg.entries import COUNTED
from nmepkg.registry import AUGMENTATIONS, DATASETS, MODELS
from nmepkg.study.checks import StudyError, check_entry, join
from nmepkg.study.mathtext import refuse_unset
from nmepkg.study.spec import Resources, Setup, Spec

LARGEST_DATA = 10**10  # numbers of a data set


@dataclass(frozen=True)
class Counts:
    """Examples of a setup's three sets, and the steps of its training."""

    train: int
    validation: int
    test: int
    steps: int


def load_setup(name: str, spec: Spec, content: Callable[[str], Mapping[str, str]]) -> Setup:
    """Checks one setup of a study and completes it.

    Args:
      content: what the files of a data set add to its spec, by its name: :func:`nmepkg.study.sources.content_of`.

    Raises:
      StudyError: an entry is wrong, or parts do not go together.
    """
    where = join("setups", name)
    spec = dict(spec)
    title, hours, device = spec.pop("title", name), spec.pop("device_hours"), spec.pop("device")
    refuse_unset(title, join(where, "title"))
    resources, per_job, at_once = Resources(**spec.pop("resources")), spec.pop("runs_per_job"), spec.pop("runs_at_once")
    for kind in ("data", "augmentation", "model", "loss"):
        spec[kind] = check_entry(kind, spec[kind], join(where, kind))
    spec["data"] |= content(spec["data"]["name"])
    spec["optimizer"] = check_entry("optimizer", {"name": "sgd", **spec["optimizer"]}, join(where, "optimizer"))
    warmup, epochs = spec["optimizer"]["warmup_epochs"], spec["training"]["epochs"]
    if warmup > epochs:
        raise StudyError(
            join(where, "optimizer.warmup_epochs"),
            f"{warmup:g} is more than the {epochs} of training.epochs; the peak would never be reached, so shorten it",
        )
    _refuse_model(spec["model"], spec["data"], join(where, "model"))
    _refuse_augmentation(spec, join(where, "augmentation"))
    if spec["label_noise"]["fraction"] and DATASETS[spec["data"]["name"]].streamed:
        raise StudyError(
            join(where, "label_noise.fraction"),
            f"labels of {spec['data']['name']!r} are streamed with its images, and stay as they are; set it to 0",
        )
    _refuse_parts(spec, join(where, "training"))
    _refuse_too_few(spec, where)
    _refuse_too_many(spec, where)
    _refuse_gpus(resources.gpus, spec, join(where, "resources.gpus"))
    _refuse_at_once(at_once, per_job, resources, join(where, "runs_at_once"))
    return Setup(name, title, spec, hours, device, resources, per_job, at_once)


def counts(spec: Mapping[str, Any]) -> Counts:
    """What :func:`nmepkg.data.splits.split` makes of a setup's data, and how many steps its training has."""
    train, test = DATASETS[spec["data"]["name"]].examples(spec["data"])
    held_out = round(spec["validation"]["fraction"] * train)
    subset, training = spec["subset"], spec["training"]
    kept = train - held_out if subset["train"] is None else subset["train"]
    return Counts(
        kept,
        held_out,
        test if subset["test"] is None else subset["test"],
        kept // training["batch_size"] * training["epochs"],
    )


def points(at: Iterable[str | int], steps: int) -> list[str | int]:
    """Where a measurement is taken in a training of so many steps: in order, each once, a share as the step nearest to it.

    >>> points(["initial", 100, "10%", "50%", "final"], 1000)
    ['initial', 100, 500, 'final']
    """
    found = [max(1, round(steps * float(p[:-1]) / 100)) if isinstance(p, str) and p[-1] == "%" else p for p in at]
    ends = {"initial": 0.0, "final": math.inf}
    return sorted(dict.fromkeys(found), key=lambda point: ends[point] if isinstance(point, str) else point)


def _refuse_model(model: Spec, data: Spec, where: str) -> None:
    """A model that its module would refuse, or that takes no such examples."""
    axes, shape = MODELS[model["name"]].axes, data_shape(data)
    if axes not in (None, len(shape)):
        fitting = [name for name, entry in MODELS.items() if entry.axes in (None, len(shape))]
        raise StudyError(
            where,
            f"{model['name']!r} does not take the examples of {data['name']!r}, whose shape is {list(shape)}; "
            f"choose from {', '.join(fitting)}",
        )
    if model["name"] == "mlp" and model["layer_norm"]:
        if model["batch_norm"]:
            raise StudyError(join(where, "layer_norm"), "the model has batch_norm already; set one of them to false")
        if model["width"] == 1 and model["depth"]:
            raise StudyError(join(where, "layer_norm"), "makes the 1 feature of a layer 0; take a width of 2 or more")
    if model["name"] == "wide_resnet" and (model["depth"] < 10 or (model["depth"] - 4) % 6):
        raise StudyError(
            join(where, "depth"), f"{model['depth']} is not 6 n + 4 for blocks n ≥ 1; take 10, 16, 22, 28 or more"
        )
    if model["name"] == "vit" and model["width"] % model["heads"]:
        raise StudyError(
            join(where, "heads"), f"{model['heads']} do not divide the width of {model['width']}; choose a divisor"
        )
    if model["name"] == "vit" and any(side % model["patch"] for side in shape[:2]):
        what = (
            f"an image of {shape[0]} by {shape[1]} pixels" if len(shape) == 3 else f"a sequence of {shape[0]} positions"
        )
        raise StudyError(join(where, "patch"), f"{model['patch']} does not divide {what}; choose a divisor")


def _refuse_augmentation(spec: Spec, where: str) -> None:
    augmentation, data = spec["augmentation"], spec["data"]
    known, streamed = AUGMENTATIONS[augmentation["name"]], DATASETS[data["name"]].streamed
    if known.streamed is not None and known.streamed != streamed:
        fitting = [name for name, entry in AUGMENTATIONS.items() if entry.streamed in (None, streamed)]
        raise StudyError(
            where,
            f"{augmentation['name']!r} is not for {data['name']!r}, whose examples "
            f"{'are streamed' if streamed else 'lie on the device'}; choose from {', '.join(fitting)}",
        )
    if augmentation["name"] == "pad_crop_flip":
        shape = data_shape(data)
        if len(shape) != 3:
            raise StudyError(where, f"'pad_crop_flip' needs images, and {data['name']!r} has none; choose 'none'")
        if augmentation["padding"] >= min(shape[:2]):
            raise StudyError(
                join(where, "padding"),
                f"{augmentation['padding']} is not below the {min(shape[:2])} pixels of an image; lower it",
            )


def data_shape(data: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of one example of a data set, by its options where those decide it."""
    known = DATASETS[data["name"]].shape
    if "size" in data:
        return (data["size"], data["size"], *known[2:])
    return tuple(data.get("shape", known))


def classes(data: Mapping[str, Any]) -> int:
    """Of a data set: as many as its model has outputs."""
    return int(data.get("classes", DATASETS[data["name"]].classes))


def _refuse_parts(spec: Spec, where: str) -> None:
    """A batch that cannot be split as a setup wants it."""
    batch, parts, group = (spec["training"][key] for key in ("batch_size", "accumulate", "batch_norm_group"))
    if batch % parts:
        raise StudyError(
            join(where, "accumulate"), f"{parts} parts do not divide the batch of {batch}; choose a divisor"
        )
    mixes = MODELS[spec["model"]["name"]].mixes_examples(spec["model"])
    if group is None:
        if parts > 1 and mixes:
            raise StudyError(
                join(where, "accumulate"),
                f"BatchNorm normalises all of a batch, which cannot be taken in parts then; set batch_norm_group to "
                f"{batch // parts} or a divisor of it",
            )
        if batch == 1 and (reason := single(spec)):
            raise StudyError(join(where, "batch_size"), f"1 example at once {reason}")
        return
    if not mixes:
        raise StudyError(
            join(where, "batch_norm_group"),
            f"the model {spec['model']['name']!r} has no BatchNorm here; set it to null",
        )
    if (batch // parts) % group:
        raise StudyError(
            join(where, "batch_norm_group"),
            f"groups of {group} do not divide the {part_in_words(spec)}; choose a divisor",
        )
    if group == 1 and (reason := single(spec)):
        raise StudyError(join(where, "batch_norm_group"), f"a group of 1 {reason}")


def single(spec: Mapping[str, Any]) -> str | None:
    """Why BatchNorm cannot normalise one example of a setup; None if it can, over the positions of an image or sequence.

    A single value less its mean is 0: whatever the example is, the layer says the same.
    """
    model, entry = spec["model"], MODELS[spec["model"]["name"]]
    if (
        not entry.mixes_examples(model)
        or model.get("depth") == 0
        or entry.positions(model, data_shape(spec["data"])) > 1
    ):
        return None
    return f"leaves BatchNorm of the model {model['name']!r} one value of a feature, which it makes 0; take 2 examples or more"


def _refuse_gpus(gpus: int, spec: Spec, where: str) -> None:
    """More GPUs than a batch can be shared out among: some would idle."""
    if gpus and (spec["training"]["batch_size"] // spec["training"]["accumulate"]) % gpus:
        raise StudyError(where, f"{gpus} GPUs cannot share the {part_in_words(spec)} evenly; choose a divisor")


def _refuse_at_once(at_once: int, per_job: int, resources: Resources, where: str) -> None:
    """Runs that would share what a job does not have."""
    if at_once > per_job:
        raise StudyError(
            where,
            f"{at_once} at once of the {per_job} that a job has; set runs_per_job to {at_once} or a multiple of it",
        )
    if at_once > resources.cpus:
        raise StudyError(
            where, f"{at_once} runs cannot share resources.cpus: {resources.cpus}, as each takes one; ask for {at_once}"
        )
    if at_once > 1 and resources.gpus > 1:
        raise StudyError(
            where,
            f"{at_once} runs at once share one GPU, and resources.gpus is {resources.gpus}; set that to 1: "
            "several jobs take several GPUs",
        )


def part_in_words(spec: Spec) -> str:
    """What of a batch is taken at once, in words."""
    batch, parts = spec["training"]["batch_size"], spec["training"]["accumulate"]
    return f"batch of {batch}" if parts == 1 else f"{batch // parts} examples that are each of {parts} parts of a batch"


def _refuse_too_few(spec: Spec, where: str) -> None:
    """More examples or steps than there are."""
    train, test = DATASETS[spec["data"]["name"]].examples(spec["data"])
    left = train - round(spec["validation"]["fraction"] * train)
    if left == 0:
        fraction = spec["validation"]["fraction"]
        raise StudyError(
            join(where, "validation.fraction"), f"{fraction:g} leaves none of {train} examples to train on; lower it"
        )
    for name, there in (("train", left), ("test", test)):
        wanted = spec["subset"][name]
        if wanted is not None and wanted > there:
            raise StudyError(
                join(where, "subset", name), f"{wanted} is more than the {there} examples that there are; lower it"
            )
    batch, counted = spec["training"]["batch_size"], counts(spec)
    if batch > counted.train:
        raise StudyError(
            join(where, "training.batch_size"),
            f"{batch} is more than the {counted.train} examples to train on; lower it",
        )


def _refuse_too_many(spec: Spec, where: str) -> None:
    """More steps than are counted, or data that no machine holds."""
    (train, test), data = DATASETS[spec["data"]["name"]].examples(spec["data"]), join(where, "data")
    size = (train + test) * math.prod(data_shape(spec["data"]))
    if size > LARGEST_DATA and not DATASETS[spec["data"]["name"]].streamed:
        raise StudyError(data, f"its examples are {size:.1e} numbers, more than memory holds; make it smaller")
    if (steps := counts(spec).steps) > COUNTED:
        raise StudyError(
            join(where, "training.epochs"),
            f"the training would have {steps:.1e} steps, and at most {COUNTED:.1e} can be counted; lower it",
        )
