"""A run from its spec to its files, in this process and as the workflow's script."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg import records, surroundings
from nmepkg.data import mnist1d, store
from nmepkg.files import file_sha256
from tests.training.files import run
from tests.training.runs import make_spec, method

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "train.py"
METRICS = [f"{name}_{kind}" for name in ("train", "validation", "test") for kind in ("loss", "accuracy")]


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    out = tmp_path_factory.mktemp("runs") / "some-run"
    return out, *run(make_spec(method=method("sam", 0.1)), data, out)


def test_result_is_of_the_schema(finished: Any, data: Path) -> None:
    out, result, progress = finished
    assert {key: result[key] for key in ("format", "run", "spec", "status", "diverged")} == {
        "format": 3,
        "run": "some-run",
        "spec": make_spec(method=method("sam", 0.1)),
        "status": "completed",
        "diverged": None,
    }
    assert list(result) == [
        *("format", "run", "spec", "status", "diverged", "final", "best_validation", "median_last"),
        "history",
        *("files", "provenance", "sha256"),
    ]
    assert result["files"] == {"params.npz": file_sha256(out / "params.npz")}
    assert [(row["epoch"], row["step"]) for row in result["history"]] == [(0, 0), (2, 4), (3, 6)]
    for row in result["history"]:
        assert list(row) == ["epoch", "step", *METRICS]
        assert all(isinstance(row[name], float) and math.isfinite(row[name]) for name in METRICS)
    assert result["final"] == result["history"][-1]
    assert sorted(path.name for path in out.iterdir()) == ["params.npz", "result.json"]
    assert [line.split(",")[0] for line in progress.splitlines()] == ["epoch 0/3", "epoch 2/3", "epoch 3/3"]


def test_best_validation_is_the_earliest_of_the_highest(finished: Any) -> None:
    _, result, _ = finished
    accuracies = [row["validation_accuracy"] for row in result["history"]]
    assert result["best_validation"] == result["history"][int(np.argmax(accuracies))]


def test_best_validation_on_ties() -> None:
    from nmepkg.training.loop import Outcome
    from nmepkg.training.result import describe

    history = [{"epoch": epoch, "validation_accuracy": value} for epoch, value in enumerate((0.25, 0.5, 0.5, 0.25))]
    described = describe(Outcome(None, history, None), 1)  # type: ignore[arg-type]
    assert described["best_validation"] == history[1]
    assert described["final"] == history[3]


def test_the_median_of_the_last_epochs() -> None:
    """Of each metric by itself, over evaluations of the last epochs; the one before the first step is none of them."""
    from nmepkg.training.loop import Outcome
    from nmepkg.training.result import describe

    values = (0.1, 0.9, 0.2, 0.6, 0.4)
    history = [
        {"epoch": epoch, "step": epoch, "validation_accuracy": None, "test_accuracy": value, "test_loss": -value}
        for epoch, value in enumerate(values)
    ]

    def median(last: int, diverged: dict[str, int] | None = None) -> Any:
        return describe(Outcome(None, history, diverged), last)["median_last"]  # type: ignore[arg-type]

    assert median(3) == {"evaluations": 3, "validation_accuracy": None, "test_accuracy": 0.4, "test_loss": -0.4}
    assert median(2)["test_accuracy"] == pytest.approx(0.5)
    assert median(9) == {"evaluations": 4, "validation_accuracy": None, "test_accuracy": 0.5, "test_loss": -0.5}
    assert median(0)["test_accuracy"] == 0.4
    assert median(3, {"epoch": 5, "step": 5}) is None


def test_provenance(finished: Any, data: Path) -> None:
    provenance = finished[1]["provenance"]
    assert set(provenance) == {
        *("code", "data", "data_sha256", "python", "nmepkg", "jax", "flax", "optax", "numpy", "platform", "device"),
        *("git_commit", "git_dirty", "start", "wall_seconds", "from_step", "earlier", "devices", "at_once"),
        *("git_problem", *surroundings.KEYS),
    }
    assert (provenance["code"], provenance["devices"]) == ("abc", 1)
    assert provenance["data_sha256"] == records.read(data.with_suffix(".json"), store.KIND, {})["arrays"]
    assert (provenance["data"], provenance["from_step"], provenance["earlier"]) == ("toy", 0, [])
    assert provenance["numpy"] == np.__version__
    assert provenance["wall_seconds"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", provenance["start"])


def test_parameters_are_kept_under_their_names(finished: Any) -> None:
    with np.load(finished[0] / "params.npz") as file:
        shapes = {name: file[name].shape for name in file.files}
    assert shapes == {
        "params/Dense_0/kernel": (5, 4),
        "params/Dense_0/bias": (4,),
        "params/BatchNorm_0/scale": (4,),
        "params/BatchNorm_0/bias": (4,),
        "params/Dense_1/kernel": (4, 3),
        "params/Dense_1/bias": (3,),
        "batch_stats/BatchNorm_0/mean": (4,),
        "batch_stats/BatchNorm_0/var": (4,),
    }


def test_divergence_is_a_result(data: Path, tmp_path: Path) -> None:
    spec = make_spec(
        model={"batch_norm": False},
        optimizer={"learning_rate": 1e30},
        training={"epochs": 9, "evaluate_every": 1},
        validation={"fraction": 0.0},
    )
    result, progress = run(spec, data, tmp_path)
    epoch = result["diverged"]["epoch"]
    assert result["status"] == "diverged"
    assert result["diverged"] == {"epoch": epoch, "step": 3 * epoch}
    assert result["final"] == result["history"][-1]
    assert result["final"]["epoch"] == epoch - 1
    assert math.isfinite(result["final"]["test_loss"])
    assert progress.endswith(f"diverged in epoch {epoch}: the loss is no longer a finite number\n")
    # Without a validation set there is nothing to be best at.
    assert result["best_validation"] is None
    assert all(row["validation_loss"] is None and row["validation_accuracy"] is None for row in result["history"])


def test_a_short_run_learns(tmp_path: Path) -> None:
    """MNIST-1D, a tenth of its size: twice the accuracy of chance and more in 20 epochs."""
    path = tmp_path / "mnist1d.npz"
    store.write(path, mnist1d.prepare(seed=42, samples=500), {"name": "mnist1d", "seed": 42, "samples": 500}, "da7a")
    spec = make_spec(
        model={"width": 32, "depth": 1, "batch_norm": False},
        method=method("sam", 0.05),
        training={"epochs": 20, "batch_size": 32, "evaluate_every": 20},
        validation={"fraction": 0.0},
    )
    result, _ = run(spec, path, tmp_path / "run")
    first, last = result["history"]
    assert first["test_accuracy"] < 0.2
    assert last["test_accuracy"] > 0.3
    assert last["train_loss"] < 0.7 * first["train_loss"]
