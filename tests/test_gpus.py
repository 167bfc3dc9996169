"""Which GPUs a job takes: files stand for them, and processes for jobs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import pytest

from nmepkg import gpus
from nmepkg.errors import UserError

SET = (
    "JAX_PLATFORMS",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "SLURM_JOB_ID",
    "SLURM_STEP_NUM_TASKS",
    "PBS_JOBID",
)
MEMORY = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE")

# A job: it takes GPUs, says which, and holds them until its input ends.
JOB = """
import os, sys
from pathlib import Path
from nmepkg import gpus
count, devices, locks, user = sys.argv[1:]
if user:
    os.umask(0o077)
    os.setuid(int(user))
gpus.claim(int(count), devices=Path(devices), locks=Path(locks))
assert "jax" not in sys.modules
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gpus, "_held", {})
    with mock.patch.dict(os.environ):
        for name in (*SET, *MEMORY):
            os.environ.pop(name, None)
        yield
    for handle in gpus._held.values():
        os.close(handle)


class Machine:
    """A folder of devices, one of locks, and the jobs that use them."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.devices, self.locks, self._running = folder / "dev", folder / "locks", running
        self.devices.mkdir()
        self.locks.mkdir()

    def has(self, *files: str) -> None:
        for name in files:
            (self.devices / name).touch()

    def has_gpus(self, count: int) -> None:
        self.has("nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(count)))

    def claim(self, count: int, stopping: bool = False, **options: Any) -> bool:
        """In this process."""
        return gpus.claim(count, stopping=lambda: stopping, devices=self.devices, locks=self.locks, **options)

    def start(self, count: int, user: str = "", **variables: str) -> subprocess.Popen[str]:
        shown = {"CUDA_VISIBLE_DEVICES"} if gpus._held else set()  # by this process to itself
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(count), str(self.devices), str(self.locks), user],
            env={**{name: value for name, value in os.environ.items() if name not in shown}, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.enter_context(process)
        self._running.callback(process.kill)
        return process


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as running:
        yield Machine(tmp_path, running)


def line(process: subprocess.Popen[str], stream: str = "stdout") -> str:
    readable = getattr(process, stream)
    assert select.select([readable], [], [], 30)[0], "the job says nothing"
    return str(readable.readline()).strip()


def test_a_job_that_asks_for_none_leaves_them_alone(machine: Machine) -> None:
    machine.has_gpus(1)
    assert machine.claim(0)
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not list(machine.locks.iterdir())


@pytest.mark.parametrize(("count", "platforms"), [(0, "cuda"), (1, "cpu"), (1, "rocm,cpu")])
def test_the_users_platforms_stay(machine: Machine, count: int, platforms: str) -> None:
    machine.has_gpus(1)
    os.environ["JAX_PLATFORMS"] = platforms
    assert machine.claim(count)
    assert os.environ["JAX_PLATFORMS"] == platforms
    assert not list(machine.locks.iterdir())


def test_a_machine_without_gpus(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.has("null", "nvidiactl")
    assert machine.claim(2)
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    assert capsys.readouterr().err == "no GPU here that JAX knows of: this job computes on the CPU\n"


def test_hidden_gpus_are_none(machine: Machine) -> None:
    machine.has_gpus(2)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    assert machine.claim(1)
    assert os.environ["JAX_PLATFORMS"] == "cpu"


def test_accelerators_of_another_make_are_left_to_jax(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.has("kfd")
    assert machine.claim(1)
    assert "JAX_PLATFORMS" not in os.environ
    assert capsys.readouterr().err == ""


def test_free_ones_of_the_machine(machine: Machine) -> None:
    machine.has_gpus(3)
    assert machine.claim(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert line(machine.start(1)) == "2"


def test_cuda_counts_what_there_is(machine: Machine) -> None:
    machine.has("nvidia2", "nvidia5")
    assert machine.claim(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_free_ones_among_the_users(machine: Machine) -> None:
    machine.has_gpus(8)
    os.environ["CUDA_VISIBLE_DEVICES"] = "GPU-5a/1, 6 ,-1,2"
    first = machine.start(1)
    assert line(first) == "GPU-5a/1"
    assert line(machine.start(1)) == "6"


def test_jobs_at_once_have_different_gpus(machine: Machine) -> None:
    machine.has_gpus(4)
    jobs = [machine.start(count) for count in (1, 2, 1)]
    taken = [line(job).split(",") for job in jobs]
    assert [len(names) for names in taken] == [1, 2, 1]
    assert sorted(name for names in taken for name in names) == ["0", "1", "2", "3"]


def test_what_a_killed_job_held_is_free_and_waited_for(machine: Machine) -> None:
    machine.has_gpus(2)
    holder = machine.start(2)
    assert line(holder) == "0,1"
    waiting = machine.start(1)
    assert line(waiting, "stderr") == "waits for 1 GPU: too few are free of other jobs (numbered 0, 1)"
    holder.kill()
    assert line(waiting) == "0"
    assert waiting.communicate()[1] == ""  # it said so once


def test_two_that_want_all_do_not_wait_for_one_another(machine: Machine) -> None:
    machine.has_gpus(2)
    jobs = [machine.start(2), machine.start(2)]
    readable, _, _ = select.select([job.stdout for job in jobs], [], [], 20)
    (first,) = (job for job in jobs if job.stdout in readable)
    first.kill()
    (second,) = (job for job in jobs if job is not first)
    assert line(second) == "0,1"


def test_waiting_ends_by_a_signal_and_leaves_nothing_taken(machine: Machine) -> None:
    machine.has_gpus(2)
    assert line(machine.start(1)) == "0"
    assert not machine.claim(2, stopping=True)
    assert line(machine.start(1)) == "1"


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        (None, "3 GPUs asked for, and 2 on this machine; lower setups.X.resources.gpus"),
        ("1", "3 GPUs asked for, and 1 in CUDA_VISIBLE_DEVICES; lower setups.X.resources.gpus"),
    ],
)
def test_more_than_there_are(machine: Machine, visible: str | None, message: str) -> None:
    machine.has_gpus(2)
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    with pytest.raises(UserError, match=message):
        machine.claim(3)


@pytest.mark.parametrize("variable", ["SLURM_JOB_ID", "PBS_JOBID"])
@pytest.mark.parametrize(("visible", "count"), [("2", 1), ("0,1", 2), ("3", 2), ("", 1)])
def test_what_a_scheduler_chose_is_taken(machine: Machine, variable: str, visible: str, count: int) -> None:
    machine.has_gpus(4)
    os.environ.update({variable: "17", "CUDA_VISIBLE_DEVICES": visible})
    assert machine.claim(count)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    assert "JAX_PLATFORMS" not in os.environ
    assert not list(machine.locks.iterdir())


def test_an_allocation_that_several_jobs_share(machine: Machine) -> None:
    os.environ.update({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_ID": "17"})
    assert machine.claim(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    visible = {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert line(machine.start(1, **visible)) == "1"
    # In another allocation on this machine, they are other GPUs.
    assert line(machine.start(1, **visible, SLURM_JOB_ID="18")) == "0"


def test_tasks_that_train_together_share_as_jax_says(machine: Machine) -> None:
    os.environ.update({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_ID": "17", "SLURM_STEP_NUM_TASKS": "2"})
    assert machine.claim(1, together=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_a_job_in_a_shell_that_is_one_of_several_tasks_is_alone(machine: Machine) -> None:
    os.environ.update({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_ID": "17", "SLURM_STEP_NUM_TASKS": "2"})
    assert machine.claim(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


def test_a_scheduler_that_knows_nothing_of_gpus(machine: Machine) -> None:
    machine.has_gpus(2)
    os.environ["SLURM_JOB_ID"] = "17"
    assert machine.claim(1)
    assert line(machine.start(1, SLURM_JOB_ID="18")) == "1"


def test_a_job_takes_nearly_all_memory_of_its_gpus(machine: Machine) -> None:
    machine.has_gpus(1)
    assert machine.claim(1)
    assert os.environ["XLA_CLIENT_MEM_FRACTION"] == "0.9"


@pytest.mark.parametrize("variables", [{}, {"SLURM_JOB_ID": "17", "CUDA_VISIBLE_DEVICES": "0"}])
def test_processes_that_share_a_gpu_share_its_memory(machine: Machine, variables: dict[str, str]) -> None:
    machine.has_gpus(1)
    os.environ.update(variables)
    assert machine.claim(1, at_once=4)
    assert os.environ["XLA_CLIENT_MEM_FRACTION"] == "0.2000"


@pytest.mark.parametrize("name", MEMORY)
def test_unless_the_user_said_how_much(machine: Machine, name: str) -> None:
    machine.has_gpus(1)
    os.environ[name] = "0.4"
    assert machine.claim(1)
    assert [(other, os.environ[other]) for other in MEMORY if other in os.environ] == [(name, "0.4")]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be other users")
def test_other_users_wait_for_it_and_take_it() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        machine = Machine(Path(folder), running)
        Path(folder).chmod(0o755)
        machine.locks.chmod(0o1777)  # as /tmp is
        machine.has_gpus(1)
        first = machine.start(1, user="65533")
        assert line(first) == "0"
        second = machine.start(1, user="65534")
        assert line(second, "stderr").startswith("waits")
        first.kill()
        assert line(second) == "0"


def test_a_lock_that_was_swept_away_is_made_again(machine: Machine) -> None:
    machine.has_gpus(1)
    assert line(machine.start(1)) == "0"
    (lock,) = machine.locks.iterdir()
    lock.rmdir()
    assert machine.claim(1)


def test_a_lock_that_is_no_folder(machine: Machine) -> None:
    machine.has_gpus(1)
    (machine.locks / "nmepkg-gpu-0").symlink_to(machine.devices)
    with pytest.raises(OSError, match="nmepkg-gpu-0"):
        machine.claim(1)


def test_jax_that_does_not_see_the_gpus(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has_gpus(1)
    machine.claim(1)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    with pytest.raises(
        UserError, match=r"GPU 0: this job's, but JAX does not see it; .*'\.\[cuda\]'.* JAX_PLATFORMS=cpu"
    ):
        gpus.check(1)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    gpus.check(1)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"CUDA_VISIBLE_DEVICES": "3"}, "GPU 3: this job's, but JAX does not see it"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "1 GPU asked for, but the scheduler gave this job none"),
        ({}, "1 GPU asked for, but the scheduler gave this job none"),
    ],
)
def test_a_scheduler_whose_gpus_are_not_seen(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    os.environ.update({"SLURM_JOB_ID": "17", **variables})
    assert machine.claim(1)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    with pytest.raises(UserError, match=message):
        gpus.check(1)


@pytest.mark.parametrize(("count", "platforms"), [(0, None), (1, "cpu")])
def test_the_cpu_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch, count: int, platforms: str | None) -> None:
    os.environ.update({"SLURM_JOB_ID": "17"} | ({} if platforms is None else {"JAX_PLATFORMS": platforms}))
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    gpus.check(count)


def test_accelerators_that_jax_does_not_use(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("kfd")
    machine.claim(1)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    gpus.check(1)
    assert "computes on the CPU" in capsys.readouterr().err
