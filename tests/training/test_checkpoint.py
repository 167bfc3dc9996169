"""A training that is interrupted and resumed is, to the bit, one that never was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nmepkg import records
from nmepkg.specs import recipe
from nmepkg.training import checkpoint, loop
from nmepkg.training.checkpoint import Checkpoints, Interval, StoppedError, pack, unpack
from nmepkg.training.provenance import Account
from tests.training.runs import dataset, make_spec, method, start

STEPS = 9  # three epochs of three steps


def spec(name: str = "psam") -> dict[str, Any]:
    return make_spec(method=method(name, 0.1 if name != "sgd" else 0.0))


def interrupted(
    path: Path, run_spec: dict[str, Any], after: int
) -> tuple[loop.Outcome | None, list[tuple[int, Any]], list[dict[str, Any]]]:
    """One process's share of a training: it takes up the checkpoint, if there is one, and stops after so many steps."""
    calls, account, seen = [0], Account(code="abc"), []

    def stopping() -> bool:
        calls[0] += 1
        return calls[0] == after

    checkpoints = Checkpoints(path, "run", checkpoint.NEVER, stopping, account)
    try:
        outcome = loop.train(
            recipe(run_spec),
            dataset(),
            report=lambda epoch, row: None,
            snapshot=lambda step, state: seen.append((step, jax.tree.map(np.array, state.params))),
            resume=checkpoints.resume,
            checkpoint=checkpoints,
        )
    except StoppedError:
        outcome = None
    return outcome, seen, account.segments()


@pytest.mark.parametrize("after", [2, 3, 4])
# One after the other, as the program of the last shape is kept.
@pytest.mark.parametrize("name", ["psam", "weight_noise"])
def test_interrupted_again_and_again_it_gives_the_same_bits(tmp_path: Path, name: str, after: int) -> None:
    path, run_spec = tmp_path / "checkpoint.npz", spec(name)
    whole, expected, _ = interrupted(tmp_path / "never.npz", run_spec, after=-1)
    assert whole is not None
    snapshots, shares = [], 0
    while True:
        outcome, seen, segments = interrupted(path, run_spec, after)
        snapshots += seen
        shares += 1
        if outcome is not None:
            break
    assert shares == -(-(STEPS + 1) // after)
    assert [segment["from_step"] for segment in segments] == [after * i for i in range(shares)]
    assert outcome.history == whole.history
    np.testing.assert_equal(pack(outcome.state), pack(whole.state))
    np.testing.assert_equal(snapshots, expected)


def checkpoints(path: Path, interval: Interval, run: str = "run") -> Checkpoints:
    return Checkpoints(path, run, interval, lambda: False, Account(code="abc"))


def position() -> loop.Position:
    run_spec = spec()
    return loop.Position(start(run_spec, dataset())[1], [{"epoch": 0, "step": 0}])


def test_a_state_survives_packing(tmp_path: Path) -> None:
    state = position().state
    packed = pack(state)
    assert all(isinstance(array, np.ndarray) for array in packed.values())
    again = unpack(packed, jax.eval_shape(lambda: state))
    assert jax.tree.structure(again) == jax.tree.structure(state)
    np.testing.assert_equal(pack(again), packed)


@pytest.mark.parametrize(
    ("interval", "due"),
    [
        (Interval(None, None), [False, False, False, False]),
        (Interval(10.0, None), [False, False, True, False]),  # after 4, 8, 12 and 16 s
        (Interval(None, 2), [False, False, False, True]),  # the second and the fourth call end an epoch
        (Interval(0.0, None), [True, True, True, True]),
    ],
)
def test_checkpoints_are_due_by_time_and_by_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: Interval, due: list[bool]
) -> None:
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    path, where = tmp_path / "checkpoint.npz", position()
    write, written = checkpoints(path, interval), []
    for call in range(4):
        now[0] += 4
        write(where, epoch_done=call % 2 == 1)
        written.append(path.exists())
        path.unlink(missing_ok=True)
    assert written == due


def test_writing_takes_a_hundredth_of_the_time_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a second a checkpoint: with one wanted every second, one is written every hundred."""
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "pack", lambda state: now.__setitem__(0, now[0] + 1) or pack(state))
    path, where = tmp_path / "checkpoint.npz", position()
    write, written = checkpoints(path, Interval(1.0, None)), 0
    while now[0] < 1000:
        now[0] += 1
        write(where, epoch_done=False)
        written += path.exists()
        path.unlink(missing_ok=True)
    assert written == 10


def test_a_checkpoint_that_is_damaged_or_anothers_is_refused(tmp_path: Path) -> None:
    path, where = tmp_path / "checkpoint.npz", position()
    checkpoints(path, Interval(0.0, None))(where, epoch_done=False)

    def resumed(run: str = "run") -> loop.Position | None:
        return checkpoints(path, Interval(None, None), run).resume(lambda: jax.eval_shape(lambda: where.state))

    found = resumed()
    assert found is not None
    assert found.history == where.history
    with pytest.raises(records.DamagedError, match="run is 'run' where 'other' is asked for"):
        resumed("other")
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(records.DamagedError, match="not readable"):
        resumed()
    middle = content.index(pack(where.state)[".params['Dense_0']['kernel']"].tobytes())
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(records.DamagedError):
        resumed()
    path.unlink()
    assert resumed() is None
