"""A lab's own code, in the jobs of a cluster."""

from __future__ import annotations

import re

import pytest

from tests.slurm.workflow import ClusterProject, states
from tests.workflow.test_extensions import LAB, lay_out

pytestmark = pytest.mark.slurm

# Of its grids one run, of the lab's data, model, method, activation, loss and optimiser, and its measurement.
ONE = (
    ("table.csv", "lab/table.csv"),
    ("[tilted, sgd]", "[tilted]"),
    ("sharpness: [1, 2]}, {name: relu, second_derivative: {name: box, width: 0.5}}]", "sharpness: 2}]"),
    ("tau: [0, 0.5]", "tau: [0.5]"),
    ("seeds: [0, 1]", "seeds: [0]"),
    ("    runs_per_job: 12\n", ""),
)


def test_a_labs_code_is_found_in_jobs_and_checked_there(project: ClusterProject) -> None:
    """It lies beside the study, in a folder where Python would not find it by itself."""
    folder = project.folder / "lab"
    lay_out(folder)
    text = re.sub(r"claims:\n.*", "", (LAB / "study.yaml").read_text(encoding="utf-8"), flags=re.DOTALL)
    for old, new in ONE:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "study.yaml").write_text(text, encoding="utf-8")

    project.cluster.run("scontrol", "update", "NodeName=ALL", "State=DRAIN", "Reason=jobs wait")
    waiting = project.call("weights", "--retries", "0", study="lab/study.yaml")
    waiting.wait_for_submission()
    project.edit("lab/mylab/scales.py", "1.0", "2.0")
    project.cluster.run("scontrol", "update", "NodeName=ALL", "State=RESUME")
    assert waiting.finish() == 1
    (log,) = (project.results() / "logs" / "slurm" / "rule_train").rglob("*.log")
    assert "code changed since this job was planned; run snakemake again" in log.read_text(encoding="utf-8")
    assert not list(project.results().glob("runs/*/result.json"))

    again = project.call("weights", study="lab/study.yaml")
    again.succeed()
    assert states(project.cluster, again.submitted()) == {"COMPLETED": 2}, "a training and its measurement"
    assert (project.results() / "figures" / "lab" / "weights.csv").exists()
