"""Work that goes side by side in a job: as much as was asked for, in the threads of the job, and for as long as that lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment
from nmepkg.storage import Store
from tests.workflow.project import ROOT

# A piece of work tells when it has begun and how it ended. It does what its id says.
SCRIPT = """
import os, signal, time
from pathlib import Path
import together

def _await(count):
    end = time.monotonic() + 60
    while len(list(Path().glob("begun-*"))) < count:
        assert time.monotonic() < end, "the others do not come"
        time.sleep(0.01)

def work(piece, given, stopping):
    Path(f"begun-{piece.id}").write_text(f"{os.getpid()} {os.environ['NPROC']}")
    _await(given.at_once)
    if piece.id == "lethal":
        os.kill(os.getpid(), signal.SIGKILL)
    while piece.id.startswith("long") and not stopping():
        time.sleep(0.01)
    Path(f"ended-{piece.id}").touch()
    return not stopping()

if __name__ == "__main__":
    together.main("", work)
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    (tmp_path / "script.py").write_text(SCRIPT)

    def started(*pieces: tuple[str, str], at_once: int) -> subprocess.Popen[str]:
        """A job with pieces of work, (id, code)."""
        work = tuple(Job(id, {}, code) for id, code in pieces)
        jobs.write(tmp_path / "job.json", Assignment(work, Store(tmp_path), at_once=at_once, logs=tmp_path / "logs"))
        path = os.pathsep.join(map(str, (ROOT, ROOT / "workflow" / "scripts")))
        return subprocess.Popen(
            [sys.executable, "script.py", "--job", "job.json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "NPROC": "7"},
            stdout=subprocess.PIPE,
            text=True,
        )

    return started


def wait_for(*paths: Path) -> None:
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"not all there: {paths}"
        time.sleep(0.02)


def test_as_many_as_asked_for_and_each_fails_alone(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    said = start(("first", "a"), ("lethal", "a"), ("third", "a"), ("other", "b"), at_once=3).communicate(timeout=60)[0]
    assert said.count("lethal: failed, its process ended with code -9") == 2, "tried once more"
    assert said.splitlines()[-1] == "1 failed: lethal"
    assert {path.name for path in tmp_path.glob("ended-*")} == {"ended-first", "ended-third", "ended-other"}
    begun = {path.name: path.read_text().split() for path in tmp_path.glob("begun-*")}
    assert {threads for _, threads in begun.values()} == {"2"}, "7 threads of the job, for three"
    assert begun["begun-other"][0] not in {begun["begun-first"][0], begun["begun-third"][0]}, "of other code"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_all_stop_where_their_job_ends(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
) -> None:
    running = start(("long-1", "a"), ("long-2", "a"), ("long-3", "a"), at_once=2)
    wait_for(tmp_path / "begun-long-1", tmp_path / "begun-long-2")
    running.send_signal(number)
    assert running.wait(60) == (75 if number == signal.SIGTERM else -number)
    wait_for(tmp_path / "ended-long-1", tmp_path / "ended-long-2")
    assert not (tmp_path / "begun-long-3").exists(), "nothing new is begun"
    by = "SIGTERM" if number == signal.SIGTERM else "the end of its job"
    logs = [tmp_path / "logs" / f"long-{place}.log" for place in (1, 2)]
    deadline = time.monotonic() + 30
    while not all(f"stopped by {by}, to go on later" in log.read_text() for log in logs):
        assert time.monotonic() < deadline
        time.sleep(0.02)
