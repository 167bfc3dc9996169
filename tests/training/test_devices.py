"""One program on any number of devices, simulated on the CPU, and of several processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nmepkg.errors import UserError
from nmepkg.specs import recipe
from nmepkg.training import devices
from tests.training.devices import cases, write_data
from tests.training.runs import make_spec, method

ROOT = Path(__file__).resolve().parents[2]


def start(what: str, count: int, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={count}"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.devices", what, *arguments],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> Any:
    output, _ = process.communicate(timeout=600)  # beside other tests
    assert process.returncode == 0
    # The libraries that processes talk through write to it too.
    return json.loads([line for line in output.splitlines() if line.startswith("{")][-1])


@pytest.fixture(scope="module")
def updates() -> Any:
    return answer(start("updates", 8))


@pytest.mark.parametrize("name", cases())
def test_eight_devices_give_the_update_of_one(name: str, updates: Any) -> None:
    (one, alone), (every, together) = (updates[name][where] for where in ("one", "all"))
    np.testing.assert_allclose(every, one, rtol=2e-4, atol=2e-5)
    assert alone == []
    # Sums over examples, and nothing as large as activations. (One goes example by example; one shares out each of two groups,
    # for which inputs move.)
    if name not in ("gn_trace_exact", "cnn m=8"):
        assert together == ["all-reduce"]
    assert name == "gn_trace_exact" or "all-gather" not in together


@pytest.fixture(scope="module")
def alone() -> Any:
    return answer(start("whole", 1))


def same(history: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [row.keys() for row in history] == [row.keys() for row in expected]
    values, wanted = ([list(row.values()) for row in rows] for rows in (history, expected))
    np.testing.assert_allclose(values, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [4, 3])
def test_a_training_on_several_devices(count: int, alone: Any) -> None:
    """Batches of 8: four devices share them, of three devices two do."""
    found = answer(start("whole", count))
    assert found["devices"] == {4: 4, 3: 2}[count]
    same(found["history"], alone["history"])


def start_two(what: str, *arguments: str) -> list[subprocess.Popen[str]]:
    """Two processes with two devices each, over the network."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    return [start(what, 2, *arguments, **common, JAX_PROCESS_ID=str(i)) for i in range(2)]


def test_two_processes_train_as_one(alone: Any) -> None:
    first, second = (answer(process) for process in start_two("joined"))
    assert (first["leads"], second["leads"], first["processes"], first["devices"]) == (True, False, 2, 4)
    assert first["history"] == second["history"]
    same(first["history"], alone["history"])


def test_two_processes_stop_and_one_goes_on(tmp_path: Path) -> None:
    """The leader writes a checkpoint and ends, upon which the other cannot go on; one device takes it up, then four again."""
    for name in ("whole", "stopped"):
        write_data(tmp_path / name)
    whole = answer(start("run", 1, str(tmp_path / "whole"), "100"))
    folder = str(tmp_path / "stopped")
    leader, follower = start_two("run", folder, "4")
    assert "stopped" in leader.communicate(timeout=120)[0].splitlines()
    assert leader.returncode == 75
    follower.communicate(timeout=120)
    assert follower.returncode not in (0, None)
    alone = start("run", 1, folder, "5")
    assert "stopped" in alone.communicate(timeout=120)[0].splitlines()
    first, second = (answer(process) for process in start_two("run", folder, "100"))
    same(first["history"], whole["history"])
    assert (first["earlier"], second["history"]) == (2, None)
    assert sorted(path.name for path in Path(folder, "run").iterdir()) == ["params.npz", "result.json"]
    again, other = (answer(process) for process in start_two("run", folder, "100"))  # finished: both say so
    assert again == first
    assert other["history"] is None


@pytest.mark.parametrize(
    ("visible", "batch", "accumulate", "m", "used"),
    [
        (8, 16, 1, None, 8),
        (8, 12, 1, None, 6),
        (8, 7, 1, None, 7),
        (4, 16, 8, None, 2),
        (8, 16, 1, 4, 4),
        (8, 32, 1, 2, 8),
    ],
)
def test_devices_that_can_share_a_batch(
    visible: int, batch: int, accumulate: int, m: int | None, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole groups of m, or else the examples of each."""
    cpu = jax.devices()[0]
    monkeypatch.setattr(jax, "devices", lambda: [cpu] * visible)
    monkeypatch.setattr(devices, "Mesh", lambda array, axes: array)
    spec = make_spec(method=method("sam", 0.1) | {"m": m}, training={"batch_size": batch, "accumulate": accumulate})
    assert devices.layout(recipe(spec)).mesh.size == used


def test_one_device_needs_no_mesh() -> None:
    assert devices.layout(recipe(make_spec())) == devices.ONE


def test_processes_whose_devices_cannot_all_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = jax.devices()[0]
    monkeypatch.setattr(jax, "devices", lambda: [cpu] * 4)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(
        UserError, match=r"training\.batch_size: 6 examples at once cannot be shared out among 4 devices"
    ):
        devices.layout(recipe(make_spec(training={"batch_size": 6})))
