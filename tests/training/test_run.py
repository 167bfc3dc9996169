"""A run from its spec to its files, in this process and as the workflow's script."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg import records, surroundings
from nmepkg.data import mnist1d, store
from nmepkg.errors import UserError
from nmepkg.files import file_sha256, locked
from nmepkg.runs.identity import code_hash, data_id, data_targets, run_id, run_targets
from nmepkg.storage import CODE, RESULT, Store
from nmepkg.study.canonical import canonical
from nmepkg.training import run as training
from nmepkg.training.checkpoint import StoppedError
from tests.jobs import job_file
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
    store.write(path, arrays, {"name": "toy"}, code="da7a")
    return path


def strict(path: Path) -> dict[str, Any]:
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{path}: {constant}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def run(spec: dict[str, Any], data: Path, out: Path, **options: Any) -> tuple[dict[str, Any], str]:
    stream = io.StringIO()
    returned = training.run(spec, data, out, name="some-run", code="abc", stream=stream, **options)
    result = strict(out / "result.json")
    assert records.read(out / "result.json", RESULT, {}) == {"format": RESULT.format, **returned}
    return result, stream.getvalue()


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
        *("git_commit", "git_dirty", "start", "wall_seconds", "from_step", "earlier", "devices"),
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


# What is there when a training begins, and what ends it before its end.

INTERRUPTED = make_spec(method=method("psam", 0.1), training={"snapshots": [2, 4]})  # three epochs of two steps


def interrupt(data: Path, out: Path, steps: int) -> str:
    """What one process says that is stopped after so many steps."""
    stream, asked = io.StringIO(), []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) == steps

    with pytest.raises(StoppedError):
        training.run(INTERRUPTED, data, out, name="some-run", code="abc", stopping=stopping, stream=stream)
    assert not (out / "result.json").exists()
    assert (out / "checkpoint.npz").exists()
    state = strict(out / "state.json")
    assert (state["status"], state["epochs"], state["error"]) == ("stopped", 3, None)
    return stream.getvalue()


def same(result: dict[str, Any]) -> dict[str, Any]:
    """All that is the same each time a run is repeated."""
    return {key: value for key, value in result.items() if key not in ("provenance", "sha256")}


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("runs")
    return out, run(INTERRUPTED, data, out)[0]


def test_a_run_that_was_stopped_goes_on_to_the_same_result(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    interrupt(data, tmp_path, 3)
    assert interrupt(data, tmp_path, 2).startswith("continues after step 3 of an earlier process\n")
    result, progress = run(INTERRUPTED, data, tmp_path)
    assert progress.startswith("continues after step 5 of an earlier process\n")
    assert same(result) == same(uninterrupted[1])
    assert set(result["files"]) == {"params.npz", "snapshots/2.npz", "snapshots/4.npz"}
    provenance = result["provenance"]
    assert [part["from_step"] for part in (*provenance["earlier"], provenance)] == [0, 3, 5]
    assert {part["code"] for part in provenance["earlier"]} == {"abc"}
    assert provenance["wall_seconds"] >= sum(part["wall_seconds"] for part in provenance["earlier"]) > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.npz", "result.json", "snapshots"]


def test_a_damaged_checkpoint_costs_no_more_than_the_work(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    (tmp_path / "checkpoint.npz").write_bytes(b"PK")
    result, progress = run(INTERRUPTED, data, tmp_path)
    first = progress.splitlines()[0]
    assert first.startswith(f"{tmp_path / 'checkpoint.npz'}: the checkpoint is not readable")
    assert first.endswith("Training begins anew")
    assert same(result) == same(uninterrupted[1])
    assert (result["provenance"]["from_step"], result["provenance"]["earlier"]) == (0, [])
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]) -> None:
    out, result = uninterrupted
    before = {path: path.stat().st_mtime_ns for path in (out / "result.json", out / "params.npz")}
    again, progress = run(INTERRUPTED, tmp_path / "no-data.npz", out)
    assert progress == "finished already: nothing to do\n"
    assert again == result
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("lost", ["params.npz", "snapshots/2.npz"])
def test_a_finished_run_that_lost_a_file_is_trained_again(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]], lost: str
) -> None:
    out, result = uninterrupted
    shutil.copytree(out, tmp_path / "run")
    (tmp_path / "run" / lost).unlink()
    again, progress = run(INTERRUPTED, data, tmp_path / "run")
    assert progress.startswith(f"{Path(lost).name} of the finished run is gone: it is trained again\n")
    assert same(again) == same(result)
    assert again["files"].keys() == result["files"].keys()
    assert all((tmp_path / "run" / name).is_file() for name in result["files"])


def test_a_stopped_run_that_lost_a_snapshot_begins_anew(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    interrupt(data, tmp_path, 3)
    (tmp_path / "snapshots" / "2.npz").unlink()
    result, progress = run(INTERRUPTED, data, tmp_path)
    assert progress.startswith(f"{tmp_path}/snapshots/2.npz: this snapshot is gone. Training begins anew\n")
    assert same(result) == same(uninterrupted[1])


def test_the_result_of_another_run_is_not_taken_for_this_ones(
    data: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    with pytest.raises(records.DamagedError, match=r"spec\.seed is 0 where 1 is asked for"):
        run({**INTERRUPTED, "seed": 1}, data, uninterrupted[0])


def test_code_is_verified_after_every_epoch(data: Path, tmp_path: Path) -> None:
    calls = []

    def verify() -> None:
        calls.append((tmp_path / "result.json").exists())
        if len(calls) == 3:
            raise UserError("the code changed")

    with pytest.raises(UserError, match="the code changed"):
        run(INTERRUPTED, data, tmp_path, verify=verify)
    assert calls == [False] * 3
    assert not (tmp_path / "result.json").exists()
    state = strict(tmp_path / "state.json")
    assert (state["status"], state["epoch"], state["error"]) == ("failed", 2, "the code changed")


def test_a_snapshot_that_is_gone_at_the_end_is_missed(data: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "2.npz"
    with pytest.raises(UserError, match=re.escape(f"{snapshot}: this snapshot was deleted during the training")):
        run(INTERRUPTED, data, tmp_path, verify=lambda: snapshot.unlink(missing_ok=True))
    assert not (tmp_path / "result.json").exists()


def test_a_run_that_another_process_trains_is_waited_for(data: Path, tmp_path: Path) -> None:
    stream, asked = io.StringIO(), []

    def stopping() -> bool:
        asked.append(stream.getvalue())
        return len(asked) == 3

    with locked(tmp_path / ".lock"), pytest.raises(StoppedError):
        training.run(INTERRUPTED, data, tmp_path, name="some-run", code="abc", stopping=stopping, stream=stream)
    line = "another process trains this run: waiting for it to end\n"
    assert asked == ["", line, line]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


# The script, in processes of its own.

DATA = {"name": "mnist1d", "seed": 42, "samples": 200}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that has 160 training examples."""
    made = Store(tmp_path_factory.mktemp("store"))
    store.write(made.data(data_id(DATA)), mnist1d.prepare(seed=42, samples=200), DATA, code_hash(data_targets(DATA)))
    return made


def copied(prepared: Store, root: Path, *more: str) -> Store:
    """A store with its data, and of the rest what is named."""
    for name in ("data", *more):
        shutil.copytree(prepared.root / name, root / name)
    return Store(root)


def planned(**changes: Any) -> tuple[str, dict[str, Any], str]:
    """(id, spec, code) of a run, as the workflow would plan it."""
    spec = canonical(make_spec(data=DATA, **changes))
    code = code_hash(run_targets(spec))
    return run_id(spec, code, data_id(DATA)), spec, code


def script(job: tuple[str, dict[str, Any], str], where: Store) -> subprocess.CompletedProcess[str]:
    name, spec, code = job
    return subprocess.run(
        [sys.executable, SCRIPT, "--job", job_file(where.root.parent, where.root, name, spec, code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def compilations(where: Store) -> set[str]:
    return {path.name for path in where.compiled.rglob("*-cache")}


@pytest.fixture(scope="module")
def filled(prepared: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, tuple[str, dict[str, Any], str]]:
    """A store whose cache was empty before the script trained this run."""
    fills, job = copied(prepared, tmp_path_factory.mktemp("filled") / "store"), planned(method=method("psam", 0.1))
    process = script(job, fills)
    assert process.returncode == 0, process.stderr
    return fills, job


def test_processes_agree_to_the_bit_and_share_compilations(filled: Any, prepared: Store, tmp_path: Path) -> None:
    """Once into an empty cache, once from it, once without; then a run that differs in numbers alone compiles nothing."""
    fills, job = filled
    name, spec, code = job
    first = compilations(fills)
    assert first
    reads = copied(fills, tmp_path / "reads", "cache")
    assert script(job, reads).returncode == 0
    assert compilations(reads) == first
    without = copied(prepared, tmp_path / "without")
    training.run(spec, without.data(data_id(DATA)), without.run(name), name=name, code=code, stream=io.StringIO())

    results = [same(strict(where.result(name))) for where in (fills, reads, without)]
    assert results[0] == results[1] == results[2]
    contents = [(where.run(name) / "params.npz").read_bytes() for where in (fills, reads, without)]
    assert contents[0] == contents[1] == contents[2]

    other = planned(
        method=method("psam", 0.4), optimizer={"learning_rate": 0.02, "weight_decay": 0.0, "warmup_epochs": 0.0}, seed=5
    )
    assert script(other, fills).returncode == 0
    assert compilations(fills) == first
    assert strict(fills.result(other[0]))["final"] != results[0]["final"]


def test_script_records_what_its_code_is(filled: Any) -> None:
    where, (name, spec, code) = filled
    result = records.read(where.result(name), RESULT, {"run": name, "spec": spec})
    assert result["provenance"]["code"] == code
    described = records.read(where.code(code), CODE, {"code": code})
    assert {"nmepkg.training.loop", "nmepkg.models.mlp"} <= set(described["modules"])
    assert "nmepkg.models.resnet1d" not in described["modules"]


def test_script_refuses_damaged_data_in_one_line(prepared: Store, tmp_path: Path) -> None:
    where, job = copied(prepared, tmp_path / "store"), planned()
    damaged = where.data(data_id(DATA))
    damaged.write_bytes(damaged.read_bytes()[:-50])
    process = script(job, where)
    assert process.returncode == 2
    assert re.fullmatch(
        rf"failed: {job[0]}: {re.escape(str(damaged))}: .*not readable \(.*\); delete .*\n", process.stderr
    )
    assert not where.result(job[0]).exists()
    state = strict(where.run(job[0]) / "state.json")
    assert state["status"] == "failed"
    assert process.stderr == f"failed: {job[0]}: {state['error']}\n"


def test_script_refuses_a_batch_larger_than_the_data_in_one_line(prepared: Store, tmp_path: Path) -> None:
    where, job = copied(prepared, tmp_path / "store"), planned(training={"batch_size": 129})
    process = script(job, where)
    assert process.returncode == 2
    assert process.stderr == f"failed: {job[0]}: training.batch_size: 129 is more than the 128 examples to train on\n"
    assert not where.result(job[0]).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, spec, code: (name, spec, code[::-1]), "the code changed since this job was planned"),
        (lambda name, spec, code: (f"{name}0", spec, code), "planned as another job"),
        (lambda name, spec, code: (name, {**spec, "seed": 7}, code), "planned as another job"),
        (lambda name, spec, code: (name, {"seed": 7}, code), "the spec is not canonical"),
    ],
)
def test_script_refuses_what_it_was_not_planned_as_in_one_line(
    change: Callable[..., tuple[str, dict[str, Any], str]], message: str, tmp_path: Path
) -> None:
    job = change(*planned())
    process = script(job, Store(tmp_path / "store"))
    assert process.returncode == 2
    assert process.stderr.startswith(f"failed: {job[0]}: {message}")
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()
