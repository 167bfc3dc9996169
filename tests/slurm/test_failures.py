"""A run that always fails is tried again as often as the profile says, and fails its figure alone."""

from __future__ import annotations

import pytest

from tests.slurm.workflow import ClusterProject, states

pytestmark = pytest.mark.slurm


def test_a_run_that_fails_fails_its_figure_alone(project: ClusterProject) -> None:
    project.break_runs()
    workflow = project.call("figures", "--retries", "1", BROKEN="sam-0.1-")
    assert workflow.finish() == 1
    # The good one, and two tries of the other.
    assert states(project.cluster, workflow.submitted()) == {"COMPLETED": 1, "FAILED": 2}
    assert "RuntimeError: broken on purpose" in workflow.output, "its log is shown"
    figures = project.results() / "figures" / "tiny"
    assert (figures / "curve.pdf").exists()
    assert not (figures / "other.pdf").exists()

    # Repaired, only that is done.
    again = project.call("figures")
    again.succeed()
    assert len(again.submitted()) == 1
    assert (figures / "other.pdf").exists()


def test_what_no_partition_gives_the_time_for_is_not_submitted(project: ClusterProject) -> None:
    # Slurm itself would take it, and never start it.
    project.edit("study.yaml", "hours: 1.5", "hours: 11")
    workflow = project.call("figures")
    assert workflow.finish() == 2
    assert "train: asks for 660 minutes, and the longest partition, main, allows 600; lower" in workflow.output
    assert workflow.submitted() == []


def test_what_cannot_end_within_all_its_jobs_is_not_submitted(project: ClusterProject) -> None:
    project.edit("study.yaml", "  large:\n", "  large:\n    device_hours: 20\n    device: any\n")
    workflow = project.call("figures")
    assert workflow.finish() == 2
    assert (
        "large: a training by sam takes about 40 h, by device_hours of its setup, and 16 jobs of 1.5 h"
        in workflow.output
    )
    assert workflow.submitted() == []
