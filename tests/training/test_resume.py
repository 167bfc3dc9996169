"""What is there when a training begins, and what ends it before its end."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from nmepkg import records
from nmepkg.errors import UserError
from nmepkg.files import locked
from nmepkg.training import train as training
from nmepkg.training.checkpoint import StoppedError
from tests.training.files import run, same, strict, task
from tests.training.runs import adamw, make_spec, method

INTERRUPTED = make_spec(method=method("psam", 0.1))  # three epochs of two steps
KEPT = (2, 4)


BY_ADAMW = {**INTERRUPTED, "optimizer": adamw()}


def interrupt(data: Path, out: Path, steps: int, spec: dict[str, Any] = INTERRUPTED) -> str:
    """What one process says that is stopped after so many steps."""
    stream, asked = io.StringIO(), []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) == steps

    with pytest.raises(StoppedError):
        training.train(task(spec, data, out, KEPT), stopping=stopping, stream=stream)
    assert not (out / "result.json").exists()
    assert (out / "checkpoint.npz").exists()
    state = strict(out / "state.json")
    assert (state["status"], state["epochs"], state["error"]) == ("stopped", 3, None)
    return stream.getvalue()


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("runs")
    return out, run(INTERRUPTED, data, out, KEPT)[0]


def test_a_run_that_was_stopped_goes_on_to_the_same_result(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    interrupt(data, tmp_path, 3)
    assert interrupt(data, tmp_path, 2).startswith("continues after step 3 of an earlier process\n")
    result, progress = run(INTERRUPTED, data, tmp_path, KEPT)
    assert progress.startswith("continues after step 5 of an earlier process\n")
    assert same(result) == same(uninterrupted[1])
    assert set(result["files"]) == {"params.npz", "snapshots/2.npz", "snapshots/4.npz"}
    provenance = result["provenance"]
    assert [part["from_step"] for part in (*provenance["earlier"], provenance)] == [0, 3, 5]
    assert {part["code"] for part in provenance["earlier"]} == {"abc"}
    assert provenance["wall_seconds"] >= sum(part["wall_seconds"] for part in provenance["earlier"]) > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.npz", "result.json", "snapshots"]


def test_adams_moments_and_its_count_of_steps_go_on_too(data: Path, tmp_path: Path) -> None:
    """To the same bits: of parameters, which the result has hashes of, and of the history."""
    for steps in (1, 3):
        interrupt(data, tmp_path / "stopped", steps, BY_ADAMW)
    found, progress = run(BY_ADAMW, data, tmp_path / "stopped", KEPT)
    assert progress.startswith("continues after step 4 of an earlier process\n")
    whole = run(BY_ADAMW, data, tmp_path / "whole", KEPT)[0]
    assert same(found) == same(whole)
    assert found["files"] != run(INTERRUPTED, data, tmp_path / "sgd", KEPT)[0]["files"]


def test_a_damaged_checkpoint_costs_no_more_than_the_work(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    (tmp_path / "checkpoint.npz").write_bytes(b"PK")
    result, progress = run(INTERRUPTED, data, tmp_path, KEPT)
    first = progress.splitlines()[0]
    assert first.startswith(f"{tmp_path / 'checkpoint.npz'}: the checkpoint is not readable")
    assert first.endswith("Training begins anew")
    assert same(result) == same(uninterrupted[1])
    assert (result["provenance"]["from_step"], result["provenance"]["earlier"]) == (0, [])
    assert not (tmp_path / "checkpoint.npz").exists()


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]) -> None:
    out, result = uninterrupted
    before = {path: path.stat().st_mtime_ns for path in (out / "result.json", out / "params.npz")}
    again, progress = run(INTERRUPTED, tmp_path / "no-data.npz", out, KEPT)
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
    again, progress = run(INTERRUPTED, data, tmp_path / "run", KEPT)
    assert progress.startswith(f"{Path(lost).name} of the finished run is gone: it is trained again\n")
    assert same(again) == same(result)
    assert again["files"].keys() == result["files"].keys()
    assert all((tmp_path / "run" / name).is_file() for name in result["files"])


def test_a_stopped_run_that_lost_a_snapshot_begins_anew(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    interrupt(data, tmp_path, 3)
    (tmp_path / "snapshots" / "2.npz").unlink()
    result, progress = run(INTERRUPTED, data, tmp_path, KEPT)
    assert progress.startswith(
        f"{tmp_path}/snapshots/2.npz: an earlier process came to step 3 without this snapshot. Training begins anew\n"
    )
    assert same(result) == same(uninterrupted[1])


def test_a_finished_run_is_trained_again_for_snapshots_that_it_lacks(
    data: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Any]]
) -> None:
    """To the same numbers, with all that was ever asked of it: two studies do not train it in turns. Killed on the way too."""
    out = tmp_path / "run"
    shutil.copytree(uninterrupted[0], out)
    assert run(INTERRUPTED, data, out, (4,))[1] == "finished already: nothing to do\n"

    asked, stream = [], io.StringIO()
    with pytest.raises(StoppedError):
        training.train(
            task(INTERRUPTED, data, out, (3,)), stopping=lambda: bool(asked.append(1) or len(asked) == 5), stream=stream
        )
    assert stream.getvalue().startswith("the finished run has kept no parameters of step 3: it is trained again\n")
    assert not (out / "result.json").exists()
    again, progress = run(INTERRUPTED, data, out, (1,))  # another study, which the checkpoint does not serve
    assert progress.startswith(
        f"{out}/snapshots/1.npz: an earlier process came to step 5 without this snapshot. Training"
    )
    assert set(again["files"]) == {"params.npz", *(f"snapshots/{step}.npz" for step in (1, 2, 3, 4))}
    before = uninterrupted[1]
    assert again["files"].items() > before["files"].items()
    assert same({**again, "files": None}) == same({**before, "files": None})
    for steps in ((), KEPT, (3,), (1, 2, 3, 4)):
        assert run(INTERRUPTED, data, out, steps)[1] == "finished already: nothing to do\n"


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
        run(INTERRUPTED, data, tmp_path, KEPT, verify=verify)
    assert calls == [False] * 3
    assert not (tmp_path / "result.json").exists()
    state = strict(tmp_path / "state.json")
    assert (state["status"], state["epoch"], state["error"]) == ("failed", 2, "the code changed")


def test_a_snapshot_that_is_gone_at_the_end_is_missed(data: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / "2.npz"
    with pytest.raises(UserError, match=re.escape(f"{snapshot}: this snapshot was deleted during the training")):
        run(INTERRUPTED, data, tmp_path, KEPT, verify=lambda: snapshot.unlink(missing_ok=True))
    assert not (tmp_path / "result.json").exists()


def test_a_run_that_another_process_trains_is_waited_for(data: Path, tmp_path: Path) -> None:
    stream, asked = io.StringIO(), []

    def stopping() -> bool:
        asked.append(stream.getvalue())
        return len(asked) == 3

    with locked(tmp_path / ".lock"), pytest.raises(StoppedError):
        training.train(task(INTERRUPTED, data, tmp_path), stopping=stopping, stream=stream)
    line = "another process trains this run: waiting for it to end\n"
    assert asked == ["", line, line]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


# The script, in processes of its own.
