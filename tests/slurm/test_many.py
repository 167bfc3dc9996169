"""Many jobs at once: each is submitted, seen and ended once. JOBS=200 for more than the minute that make test-slurm has."""

from __future__ import annotations

import os

import pytest

from tests.slurm.workflow import ClusterProject, states

pytestmark = pytest.mark.slurm
JOBS = int(os.environ.get("JOBS", "12"))


def test_no_job_of_many_is_lost(project: ClusterProject) -> None:
    project.only_wait(JOBS, seconds=0)
    workflow = project.call()
    workflow.succeed(60 + 8 * JOBS)
    assert len(workflow.submitted()) == JOBS
    assert states(project.cluster, workflow.submitted()) == {"COMPLETED": JOBS}
    assert len(list(project.folder.glob("ended/*"))) == JOBS
