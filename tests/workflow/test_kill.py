"""Kill anything at any moment: the next start goes on, and the results are those of a workflow left alone."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Run
from nmepkg.study.load import load
from tests.jobs import job_file
from tests.workflow.kills import STUDY, disturb, results
from tests.workflow.project import Project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    project.write("study.yaml", STUDY)
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    return project


def survive(undisturbed: Project, folder: Path, kills: int, seed: int) -> list[int]:
    """Has a workflow run under kills, from nothing whenever it got through; how many processes each run took."""
    project, generator = Project(folder), random.Random(seed)
    project.write("study.yaml", STUDY)
    expected = results(undisturbed)
    processes: list[int] = []
    hit = 0
    while hit < kills:
        account = disturb(project, kills - hit, generator)
        hit += len(account)
        done = project.snakemake("all")
        assert done.returncode == 0, "\n".join([*account, done.stdout])
        found = results(project)
        assert expected.keys() == found.keys()
        assert [name for name in expected if expected[name] != found[name]] == [], "\n".join(account)
        runs = project.folder / "results" / "runs"
        left = {path.name for path in runs.glob("*/*")}
        assert left == {"result.json", "params.npz", "snapshots"}, "no checkpoint, no half file stays"
        earlier = [json.loads(path.read_text())["provenance"]["earlier"] for path in runs.glob("*/result.json")]
        processes += [len(segments) + 1 for segments in earlier]
        print(*account, f"processes that each run took: {processes[-len(earlier) :]}", sep="\n", flush=True)
        shutil.rmtree(project.folder / "results")
    return processes


def test_results_survive_kills(undisturbed: Project, tmp_path: Path) -> None:
    survive(undisturbed, tmp_path, kills=6, seed=1)


@pytest.mark.soak
def test_results_survive_many_kills(undisturbed: Project, tmp_path: Path) -> None:
    processes = survive(undisturbed, tmp_path, kills=int(os.environ.get("KILLS", "50")), seed=2)
    assert max(processes) > 1, "checkpoints were taken up"


def begun(undisturbed: Project, folder: Path) -> Project:
    """The study with its data and compiled programs, and no results."""
    project = Project(folder)
    project.write("study.yaml", STUDY)
    project.prepare(undisturbed)
    return project


def script(project: Project, run: Run, snapshots: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    """The training of one run, as a job of the workflow runs it."""
    job = job_file(project.folder, "results", run.id, run.spec, run.code, snapshots=snapshots)
    return subprocess.Popen(
        [sys.executable, "workflow/scripts/train.py", "--job", str(job)],
        cwd=project.folder,
        env=project.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_has_a_training_write_a_checkpoint_and_ask_for_another_try(
    undisturbed: Project, tmp_path: Path, number: signal.Signals
) -> None:
    project = begun(undisturbed, tmp_path)
    project.edit("study.yaml", "epochs: 100", "epochs: 100000")
    run = next(iter(expand(load(tmp_path / "study.yaml")).runs.values()))
    folder = tmp_path / "results" / "runs" / run.id

    def stopped_at() -> int:
        training = script(project, run)
        while not (folder / "state.json").exists():
            assert training.poll() is None, training.communicate()
            time.sleep(0.05)
        time.sleep(0.5)
        training.send_signal(number)
        error = training.communicate(timeout=60)[1]
        assert training.returncode == 75, error
        assert error.splitlines()[-1] == f"{run.id}: stopped by {number.name}, to go on later"
        state = json.loads((folder / "state.json").read_text())
        assert state["status"] == "stopped"
        assert not (folder / "result.json").exists()
        (folder / "state.json").unlink()
        found = re.search(r"continues after step (\d+)", error)
        return int(found[1]) if found else 0

    assert stopped_at() == 0
    first = stopped_at()
    assert first > 0
    assert stopped_at() > first


def test_two_trainings_of_one_run_are_one(undisturbed: Project, tmp_path: Path) -> None:
    project = begun(undisturbed, tmp_path)
    run = next(iter(expand(load(tmp_path / "study.yaml")).runs.values()))
    both = [script(project, run) for _ in range(2)]
    errors = [training.communicate(timeout=120)[1] for training in both]
    assert [training.returncode for training in both] == [0, 0], errors
    assert sum("finished already: nothing to do" in error for error in errors) == 1
    assert sum("another process trains this run" in error for error in errors) == 1


def test_what_a_killed_training_had_half_written_goes(undisturbed: Project, tmp_path: Path) -> None:
    project = begun(undisturbed, tmp_path)
    run = next(iter(expand(load(tmp_path / "study.yaml")).runs.values()))
    folder = tmp_path / "results" / "runs" / run.id
    for half in (folder / ".checkpoint.npz.x1y2z3", folder / "snapshots" / ".1.npz.x1y2z3"):
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
    training = script(project, run, (1, 500, 1301))
    assert training.wait(timeout=120) == 0, training.communicate()
    assert {path.name for path in folder.rglob("*")} == {
        *("result.json", "params.npz", "snapshots", "1.npz", "500.npz", "1301.npz")
    }
