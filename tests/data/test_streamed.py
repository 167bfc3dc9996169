"""A run on a tiny ImageNet, from what the data rule writes to a measurement, with all of its recipe."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg import records
from nmepkg.data import imagenet, store, streamed
from nmepkg.errors import UserError
from nmepkg.measurement import measure as measuring
from nmepkg.specs import recipe
from nmepkg.training.checkpoint import StoppedError
from nmepkg.training.train import Task
from nmepkg.training.train import train as train_task
from tests.data.conftest import CLASSES, SIZE, TRAIN, VALIDATION, Tiny
from tests.training.runs import make_spec, method

DATA = {"name": "imagenet2012", "size": SIZE, "resize": SIZE + 4}
SPEC: dict[str, Any] = {
    **make_spec(
        data=DATA,
        augmentation={"name": "resized_crop_flip", "smallest_area": 0.08, "largest_aspect": 4 / 3},
        method=method("psam", 0.05),
        optimizer={"reference_batch_size": 256, "warmup_from": 0.25, "decayed": "not_normalization"},
        training={"epochs": 3, "batch_size": 8, "batch_norm_group": 4, "evaluate_last": 2, "evaluate_train": 12},
    ),
    "model": {"name": "resnet", "blocks": [1, 1], "width": 4},
}
STEPS = 3 * ((TRAIN - round(0.2 * TRAIN)) // 8)


@pytest.fixture(scope="module")
def prepared(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "imagenet.npz"
    store.write(path, tiny.arrays, DATA, code="c0de")
    return path


def train(prepared: Path, tiny: Tiny, out: Path, stop: int | None = None) -> Any:
    calls = iter(range(stop or 1_000_000))
    return train_task(
        Task("run", SPEC, "c0de", out, prepared, tiny.source),
        stopping=lambda: next(calls, None) is None,
        stream=io.StringIO(),
    )


@pytest.fixture(scope="module")
def finished(prepared: Path, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, train(prepared, tiny, out)


def test_a_run_from_start_to_end(finished: tuple[Path, dict[str, Any]]) -> None:
    _, result = finished
    assert result["status"] == "completed"
    assert [row["epoch"] for row in result["history"]] == [0, 2, 3]
    assert result["final"]["step"] == STEPS
    assert result["median_last"]["evaluations"] == 2
    assert all(np.isfinite(value) for row in result["history"] for value in row.values())
    assert (result["final"]["train_accuracy"] * 12) % 1 == pytest.approx(0, abs=1e-9)


def test_killed_in_the_middle_of_an_epoch_it_goes_on_to_the_same_bits(
    finished: tuple[Path, dict[str, Any]], prepared: Path, tiny: Tiny, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(prepared, tiny, tmp_path / "run", stop=6)
    again = train(prepared, tiny, tmp_path / "run")
    assert again["history"] == finished[1]["history"]
    assert again["files"] == finished[1]["files"]
    assert again["provenance"]["earlier"]


def test_its_curvature_is_measured_on_examples_of_the_stream(
    finished: tuple[Path, dict[str, Any]], prepared: Path, tiny: Tiny, tmp_path: Path
) -> None:
    """In the batches and the groups of one that it was trained in."""
    out, result = finished
    spec = {
        **{"kind": "alignment", "at": ["initial", "final"], "split": "train", "examples": 8, "batch_size": None},
        **{"batch_norm": "train", "seed": 0, "second_derivative": None},
    }
    task = measuring.Task("m", spec, "c0de", result, out, prepared, tmp_path / "m.json", tiny.source)
    found = measuring.measure(task, stream=io.StringIO())
    assert [point["status"] for point in found["points"]] == ["measured", "measured"]
    assert [found["data"][key] for key in ("batch_size", "batch_norm_group", "examples")] == [8, 4, 8]


def test_what_is_known_of_it(prepared: Path, tiny: Tiny) -> None:
    description = records.read(prepared.with_suffix(".json"), store.KIND, {})
    assert description["classes"] == max(CLASSES) + 1
    assert sum(description["examples_per_class"]["train"]) == TRAIN
    dataset = streamed.read(prepared, recipe(SPEC), tiny.source)
    assert dataset.sizes == (TRAIN - 9, 9, VALIDATION)
    x, y = dataset.take("validation", np.array([2, 0]))
    places = dataset.split.validation[[2, 0]]
    np.testing.assert_array_equal(y, tiny.arrays["train_y"][places])
    pixels = dataset.stream.take("train", places)[0]
    np.testing.assert_allclose(x, (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], rtol=1e-4, atol=1e-5)


def test_a_source_that_nobody_named(prepared: Path) -> None:
    with pytest.raises(UserError, match="imagenet2012: is streamed; name its folder under 'sources' of the study"):
        streamed.read(prepared, recipe(SPEC), None)


def test_the_real_counts_are_asked_for(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=f"{TRAIN} examples in train, not 1281167"):
        imagenet.prepare(tiny.source, SIZE, SIZE + 4)
