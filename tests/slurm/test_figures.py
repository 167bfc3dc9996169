"""A small study from nothing to its figures, with proof from Slurm itself that it went through Slurm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from nmepkg.runs import jobs
from tests.slurm.cluster import Cluster
from tests.slurm.workflow import STUDY, ClusterProject, jobs_of, states

pytestmark = pytest.mark.slurm


def test_figures_come_from_a_cluster(project: ClusterProject) -> None:
    workflow = project.call("figures", "measurements")
    workflow.succeed()
    assert (project.results() / "figures" / "tiny" / "curve.pdf").exists()

    ids = workflow.submitted()
    assert states(project.cluster, ids) == {"COMPLETED": 3}, (
        "two trainings and a measurement; the data and figures are local"
    )
    asked = {}
    for job in jobs_of(project.cluster, ids):
        rule = job["Comment"].removeprefix("rule_").split("_wildcards_")[0]
        memory, time, gpus = job["MinMemoryNode"], job["TimeLimit"], job.get("TresPerJob")
        asked[rule, gpus] = (job["CPUs/Task"], memory, time)
    assert asked == {
        ("train", None): ("2", "3000M", "00:30:00"),
        ("train", "gres:gpu:1"): ("1", "5000M", "01:30:00"),
        ("measure", None): ("2", "3000M", "00:30:00"),
    }

    print(*overhead(project, ids), sep="\n")

    again = project.call("figures", "measurements")
    again.succeed()
    assert "Nothing to be done" in again.output
    assert again.submitted() == []


@pytest.mark.parametrize("site", ["", "gres: gpu\n"])
def test_gpus_of_a_job_are_of_one_node_and_promised_to_its_training(
    cluster: Cluster, tmp_path: Path, site: str
) -> None:
    project = ClusterProject(tmp_path, cluster, STUDY.replace("gpus: 1", "gpus: 2"))
    if site:
        project.write("profiles/slurm/site.yaml", site)
    workflow = project.call("other")
    workflow.succeed()
    (job,) = jobs_of(cluster, workflow.submitted())
    asked = {key: job.get(key) for key in ("NumNodes", "TresPerJob", "TresPerNode")}
    how = ("TresPerNode" if site else "TresPerJob", "TresPerJob" if site else "TresPerNode")
    assert asked == {"NumNodes": "1", how[0]: "gres:gpu:2", how[1]: None}
    (file,) = (project.folder / ".snakemake" / "jobs").glob("*/train/*.json")
    assert jobs.read(file).gpus == 2


def overhead(project: ClusterProject, ids: list[str]) -> Iterator[str]:
    """What an allocation is held for beyond its training. Printed alone: it depends on the machine."""
    for job in jobs_of(project.cluster, ids):
        rule, _, run = job["Comment"].removeprefix("rule_").partition("_wildcards_")
        if rule == "train":
            begin, end = (datetime.fromisoformat(job[key]) for key in ("StartTime", "EndTime"))
            record = project.results() / "runs" / run / "result.json"
            training = json.loads(record.read_text())["provenance"]["wall_seconds"]
            held = (end - begin).total_seconds()
            yield f"{run}: {held:.0f} s in the allocation, {training:.1f} s of them training"
