"""Several runs in a job."""

from __future__ import annotations

import pytest

from tests.slurm.workflow import STUDY, ClusterProject, jobs_of, states

pytestmark = pytest.mark.slurm


def test_runs_that_share_a_job_share_nothing_else(project: ClusterProject) -> None:
    study = STUDY.replace("hours: 0.5}", "hours: 0.5}\n    runs_per_job: 4").replace(
        "rho: [0.2], seeds: [0]", "rho: [0.2], seeds: SEEDS"
    )
    study = study.replace("figures:", "figures:\n  packed: {experiments: [first], x: rho}").replace(
        ", measurements: [step]", ""
    )

    def results() -> dict[str, int]:
        return {path.parent.name: path.stat().st_mtime_ns for path in project.folder.glob("results/runs/*/result.json")}

    def seeds() -> str:
        return "".join(sorted(name.split("-s")[-1][0] for name in results()))

    project.write("study.yaml", study.replace("SEEDS", "[0, 1, 2, 3, 4]"))
    project.break_runs()
    workflow = project.call("packed", "--retries", "0", BROKEN="-s2-")
    assert workflow.finish() == 1
    assert seeds() == "0134", "one member fails alone"
    assert states(project.cluster, workflow.submitted()) == {"COMPLETED": 2}, "five runs, four a job"
    assert sorted(job["TimeLimit"] for job in jobs_of(project.cluster, workflow.submitted())) == [
        "00:30:00",
        "02:00:00",
    ]
    assert "RuntimeError: broken on purpose" in workflow.output
    assert not (project.results() / "figures" / "tiny" / "packed.pdf").exists()

    # One more seed: with the run that failed, and nothing of what there is.
    before = results()
    project.write("study.yaml", study.replace("SEEDS", "[0, 1, 2, 3, 4, 5]"))
    again = project.call("packed")
    again.succeed()
    assert seeds() == "012345"
    assert results() | before == results(), "what there was is as it was"
    assert states(project.cluster, again.submitted()) == {"COMPLETED": 1}
    assert (project.results() / "figures" / "tiny" / "packed.pdf").exists()


def test_what_shares_a_job_is_measured_in_one(project: ClusterProject) -> None:
    packed = STUDY.replace("hours: 0.5}", "hours: 0.5}\n    runs_per_job: 4")
    project.write("study.yaml", packed.replace("rho: [0.2], seeds: [0]", "rho: [0.2], seeds: [0, 1, 2]"))
    project.break_runs()
    workflow = project.call("measurements", "--retries", "0", BROKEN="-s2-")
    assert workflow.finish() == 1, "one run failed"
    assert states(project.cluster, workflow.submitted()) == {"COMPLETED": 2}, "one job trains, one measures"
    assert len(list(project.results().glob("measurements/*/*.json"))) == 2, "of the other two runs"

    again = project.call("measurements")
    again.succeed()
    assert states(project.cluster, again.submitted()) == {"COMPLETED": 2}
    assert len(list(project.results().glob("measurements/*/*.json"))) == 3
