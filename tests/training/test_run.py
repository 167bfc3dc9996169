"""A run from its spec to its files, in this process and as the workflow's script."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.data import mnist1d, store
from nmepkg.training import run as training
from tests.training.runs import dataset, make_spec, method

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "train.py"
METRICS = [f"{name}_{kind}" for name in ("train", "validation", "test") for kind in ("loss", "accuracy")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data, prepared: 27 training and 9 test examples."""
    path = tmp_path_factory.mktemp("data") / "toy.npz"
    toy = dataset()
    arrays = {"train_x": toy.train[0], "train_y": toy.train[1], "test_x": toy.test[0], "test_y": toy.test[1]}
    store.write(path, arrays, {"name": "toy"})
    return path


def strict(path: Path) -> dict[str, Any]:
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{path}: {constant}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def run(spec: dict[str, Any], data: Path, out: Path) -> tuple[dict[str, Any], str]:
    stream = io.StringIO()
    training.run(spec, data, out, name="some-run", code="abc", stream=stream)
    return strict(out / "result.json"), stream.getvalue()


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    out = tmp_path_factory.mktemp("runs") / "some-run"
    return out, *run(make_spec(method=method("sam", 0.1)), data, out)


def test_result_is_of_the_schema(finished: Any, data: Path) -> None:
    out, result, progress = finished
    assert {key: result[key] for key in ("format", "run", "spec", "status", "diverged")} == {
        "format": 1,
        "run": "some-run",
        "spec": make_spec(method=method("sam", 0.1)),
        "status": "completed",
        "diverged": None,
    }
    assert list(result) == [
        *("format", "run", "spec", "status", "diverged", "final", "best_validation", "history", "provenance")
    ]
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
    described = describe("r", {}, Outcome(None, history, None), {})  # type: ignore[arg-type]
    assert described["best_validation"] == history[1]
    assert described["final"] == history[3]


def test_provenance(finished: Any, data: Path) -> None:
    provenance = finished[1]["provenance"]
    assert set(provenance) == {
        *("code", "data_sha256", "python", "nmepkg", "jax", "flax", "optax", "numpy", "platform", "device"),
        *("git_commit", "git_dirty", "start", "wall_seconds"),
    }
    assert provenance["code"] == "abc"
    assert provenance["data_sha256"] == json.loads(data.with_suffix(".json").read_text())["sha256"]
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
    store.write(path, mnist1d.prepare(seed=42, samples=500), {"name": "mnist1d", "seed": 42, "samples": 500})
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


# The script, in processes of its own.


def script(spec: dict[str, Any], data: Path, out: Path, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    arguments = ["--run", "some-run", "--spec", json.dumps(spec), "--code", "abc", "--data", data, "--out", out]
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments, *(["--cache", cache] if cache else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def compilations(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*-cache")}


def test_processes_agree_to_the_bit_and_share_compilations(data: Path, tmp_path: Path) -> None:
    """Once into an empty cache, once from it, once without; then a run that differs in numbers alone compiles nothing."""
    spec, cache = make_spec(method=method("psam", 0.1)), tmp_path / "cache"
    outs = [tmp_path / name for name in ("fills", "reads", "without")]
    counts = []
    for out, folder in zip(outs, (cache, cache, None), strict=True):
        process = script(spec, data, out, folder)
        assert process.returncode == 0, process.stderr
        counts.append(len(compilations(cache)))
    assert counts[0] > 0
    assert counts == [counts[0]] * 3

    results = [strict(out / "result.json") for out in outs]
    for result in results:
        result.pop("provenance")
    assert results[0] == results[1] == results[2]
    contents = [(out / "params.npz").read_bytes() for out in outs]
    assert contents[0] == contents[1] == contents[2]

    other = make_spec(
        method=method("psam", 0.4), optimizer={"learning_rate": 0.02, "weight_decay": 0.0, "warmup_epochs": 0.0}, seed=5
    )
    assert script(other, data, tmp_path / "other", cache).returncode == 0
    assert len(compilations(cache)) == counts[0]
    assert strict(tmp_path / "other" / "result.json")["final"] != results[0]["final"]


def test_script_refuses_damaged_data_in_one_line(data: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "toy.npz"
    damaged.write_bytes(data.read_bytes()[:-50])
    damaged.with_suffix(".json").write_bytes(data.with_suffix(".json").read_bytes())
    process = script(make_spec(), damaged, tmp_path / "run")
    assert process.returncode == 2
    assert re.fullmatch(rf"some-run: {re.escape(str(damaged))}: damaged \(.*\); delete it .*\n", process.stderr)
    assert not (tmp_path / "run").exists()


def test_script_refuses_a_batch_larger_than_the_data_in_one_line(data: Path, tmp_path: Path) -> None:
    process = script(make_spec(training={"batch_size": 23}), data, tmp_path / "run")
    assert process.returncode == 2
    assert process.stderr == "some-run: training.batch_size: 23 is more than the 22 examples to train on\n"
    assert not list((tmp_path / "run").iterdir())
