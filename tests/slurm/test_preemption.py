"""A more urgent job takes the node of a training, which goes on later from its checkpoint, to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.conftest import Start
from tests.slurm.workflow import LONG, ClusterProject, states
from tests.workflow.kills import results

pytestmark = pytest.mark.slurm


def preempt(cluster: Cluster) -> None:
    """A job that needs the whole node, for a moment."""
    cluster.run("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 2")


def test_a_training_whose_job_is_cancelled_for_another_is_submitted_again(
    cluster: Cluster, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    project = ClusterProject(tmp_path, cluster, LONG)
    workflow = project.call("figures", "--set-resources", "train:slurm_partition=cancel")
    project.wait_for_checkpoint(workflow)
    preempt(cluster)
    workflow.succeed()
    assert states(cluster, workflow.submitted()) == {"PREEMPTED": 1, "COMPLETED": 1}
    assert project.steps_taken_up()
    assert results(project) == undisturbed


def test_a_training_whose_job_is_requeued_for_another_goes_on_under_its_id(
    started: Start, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    # A job is queued again when the credentials of its last start have expired.
    project = ClusterProject(tmp_path, started(AuthInfo="cred_expire=5"), LONG)
    workflow = project.call("figures", "--set-resources", "train:slurm_partition=requeue")
    project.wait_for_checkpoint(workflow)
    preempt(project.cluster)
    workflow.succeed(240)
    assert len(workflow.submitted()) == 1
    assert states(project.cluster, workflow.submitted()) == {"PREEMPTED": 1, "COMPLETED": 1}
    assert project.steps_taken_up()
    assert results(project) == undisturbed
