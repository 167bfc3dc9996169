"""The controller is away for a while, or forgets."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_for
from tests.slurm.conftest import Start
from tests.slurm.workflow import ClusterProject, states

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize("stuck", [False, True])
def test_an_outage_of_the_controller_costs_nothing(started: Start, tmp_path: Path, stuck: bool) -> None:
    # It is stopped, and what reaches for it is refused; or it is stuck, and does later what was asked long ago.
    project = ClusterProject(tmp_path, started(MessageTimeout=5))
    project.only_wait(5, seconds=5, at_once=2)
    workflow = project.call()
    wait_for(lambda: project.has_begun(2) or workflow.ended(), 60, workflow.account)
    if stuck:
        project.cluster.signal_controller("STOP")
    else:
        project.cluster.stop_controller()
    project.write("open", "")  # now three more are submitted
    time.sleep(20)
    if stuck:
        project.cluster.signal_controller("CONT")
    else:
        project.cluster.start_controller()
    workflow.succeed()
    assert "SLURM sbatch failed" not in workflow.output
    ids = workflow.submitted()
    assert len(ids) == len(project.cluster.jobs()) == 5, "no job was submitted twice"
    assert states(project.cluster, ids) == {"COMPLETED": 5}


def test_jobs_that_slurm_forgot_have_ended(started: Start, tmp_path: Path) -> None:
    # A login node that sleeps for longer than Slurm remembers jobs. One of them did what it should, the other nothing.
    project = ClusterProject(tmp_path, started(MinJobAge=4))
    project.only_wait(2, seconds=2)
    project.edit(
        "Snakefile", "touch {output}", "( [ {wildcards.i} = 0 ] || [ -e failed ] || ! touch failed ) && touch {output}"
    )
    workflow = project.call()
    ids = workflow.wait_for_submission(2)
    workflow.signal(signal.SIGSTOP)
    wait_for(lambda: not {job["id"] for job in project.cluster.jobs()} & set(ids), 150, workflow.account)
    workflow.signal(signal.SIGCONT)
    workflow.succeed()
    assert states(project.cluster, ids) == {"COMPLETED": 1, "FAILED": 1}
    assert len(workflow.submitted()) == 3, "what left no output is tried again"


def test_a_snakemake_that_is_stopped_in_an_outage_ends(started: Start, tmp_path: Path) -> None:
    project = ClusterProject(tmp_path, started())
    project.only_wait(20, seconds=30, at_once=1)
    workflow = project.call()
    wait_for(lambda: project.has_begun(1) or workflow.ended(), 60, workflow.account)
    project.cluster.stop_controller()
    project.write("open", "")
    time.sleep(8)
    workflow.interrupt()
    assert workflow.finish(100) != 0
    assert len(workflow.submitted()) == 1
    project.cluster.start_controller()
    assert len(project.cluster.jobs()) == 1, "nothing came after it"
