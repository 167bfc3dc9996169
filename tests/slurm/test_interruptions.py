"""A training whose job, node or Snakemake ends before it does goes on from its checkpoint, to the same bits."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import Start
from tests.slurm.workflow import LONG, ClusterProject, jobs_of, states
from tests.workflow.kills import results

pytestmark = pytest.mark.slurm


@pytest.fixture
def project(cluster: Cluster, tmp_path: Path) -> ClusterProject:
    return ClusterProject(tmp_path, cluster, LONG)


def test_a_job_that_is_cancelled_is_submitted_again(project: ClusterProject, undisturbed: dict[str, Any]) -> None:
    workflow = project.call("figures")
    project.wait_for_checkpoint(workflow)
    project.cluster.run("scancel", *workflow.submitted())
    workflow.succeed()
    assert states(project.cluster, workflow.submitted()) == {"CANCELLED": 1, "COMPLETED": 1}
    assert project.steps_taken_up()
    assert results(project) == undisturbed


def test_a_job_that_runs_out_of_time_is_submitted_again(project: ClusterProject, undisturbed: dict[str, Any]) -> None:
    workflow = project.call("figures", "--set-resources", "train:runtime=1")
    project.wait_for_checkpoint(workflow)
    for process in project.trainings():
        os.kill(process, signal.SIGSTOP)  # so that a minute is too short; Slurm has it go on for its end
    workflow.succeed(200)
    assert states(project.cluster, workflow.submitted()) == {"TIMEOUT": 1, "COMPLETED": 1}
    assert project.steps_taken_up()
    assert results(project) == undisturbed


def test_a_node_that_dies_costs_what_was_not_in_a_checkpoint(
    started: Start, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    project = ClusterProject(tmp_path, started(SlurmdTimeout=4, AuthInfo="cred_expire=5"), LONG)
    workflow = project.call("figures")
    project.wait_for_checkpoint(workflow)
    (job,) = jobs_of(project.cluster, workflow.submitted())
    project.cluster.kill_node(job["NodeList"])
    wait_for(lambda: not project.trainings(), 10, workflow.account)
    workflow.succeed(200)
    assert states(project.cluster, workflow.submitted()) == {"NODE_FAIL": 1, "COMPLETED": 1}
    assert len(workflow.submitted()) == 1, "Slurm queued it again"
    assert project.steps_taken_up()
    assert results(project) == undisturbed


def test_a_snakemake_that_is_killed_loses_nothing(project: ClusterProject, undisturbed: dict[str, Any]) -> None:
    first = project.call("figures")
    project.wait_for_checkpoint(first)
    first.signal(signal.SIGKILL)
    first.finish()
    second = project.call("figures")
    second.succeed()
    # The orphan went on, and the job submitted for the same run waited for it, or found its result.
    ids = [*first.submitted(), *second.submitted()]
    assert states(project.cluster, ids) == {"COMPLETED": 2}
    (record,) = (project.results() / "runs").glob("*/result.json")
    assert json.loads(record.read_text())["provenance"]["earlier"] == [], "trained once, in one go"
    assert results(project) == undisturbed
    assert "Nothing to be done" in project.call("figures").finished().output


@pytest.mark.parametrize("when", ["while it submits", "while it asks for states"])
def test_a_snakemake_that_is_stopped_cancels_its_jobs(project: ClusterProject, when: str) -> None:
    if when == "while it submits":  # some jobs run, some wait, some are yet to be submitted
        project.only_wait(30, seconds=300)
        count = 3
    else:  # nearly always
        project.only_wait(count := 10, seconds=300)
        project.edit("profiles/slurm/bin/squeue", "set -fu\n", "set -fu\nsleep 5\n")
    workflow = project.call("--max-jobs-per-timespan", "10/1s")
    workflow.wait_for_submission(count)
    if when == "while it asks for states":
        time.sleep(4)
    workflow.interrupt()
    assert workflow.finish(60) != 0
    wait_for(lambda: not open_jobs(project), 30, workflow.account)


def open_jobs(project: ClusterProject) -> list[str]:
    """What of this project has not ended."""
    lines = project.cluster.run("squeue", "--noheader", "--format=%T|%Z").splitlines()
    return [line for line in lines if line.endswith(f"|{project.folder}")]
