"""Snakemake on a private Slurm, through the project's own profile, and what became of its jobs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.slurm.cluster import Cluster, children, wait_for
from tests.workflow.kills import trainings
from tests.workflow.project import Project

# The profile's patience is for real clusters.
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "1", "--latency-wait", "5")

# One of everything: a training on the CPU and one that asks for a GPU (which is none, and not used), a measurement.
STUDY = """\
version: 1
name: tiny
checkpoints: {seconds: 0.2}
setups:
  small:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
    resources: {gpus: 0, cpus: 2, memory_gb: 3, hours: 0.5}
  large:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
    resources: {gpus: 1, cpus: 1, memory_gb: 5, hours: 1.5}
measurements:
  step: {kind: alignment, at: [final], examples: 16}
experiments:
  first: {setups: [small], methods: [sam], activations: [relu], rho: [0.2], seeds: [0], measurements: [step]}
  second: {setups: [large], methods: [sam], activations: [relu], rho: [0.1], seeds: [0]}
figures:
  curve: {experiments: [first], x: rho}
  other: {experiments: [second], x: rho}
"""

# Trainings that last long enough to be interrupted, and write checkpoints all along.
LONG = """\
version: 1
name: long
checkpoints: {seconds: 0.2}
setups:
  mlp:
    data: {name: mnist1d, samples: 400}
    model: {name: mlp, width: 16, depth: 2, batch_norm: true}
    optimizer: {learning_rate: 0.05}
    training: {epochs: 1000, batch_size: 16, evaluate_every: 100}
    resources: {gpus: 0, cpus: 1, memory_gb: 2, hours: 1}
experiments:
  main: {setups: [mlp], methods: [sam], activations: [relu], rho: [0.1], seeds: [0]}
figures:
  curve: {experiments: [main], x: rho}
"""


class Workflow:
    """One call of Snakemake."""

    def __init__(self, project: ClusterProject, command: list[str], **variables: str) -> None:
        self.project, self.cluster = project, project.cluster
        self.number = len(list(project.folder.glob("output-*.txt")))
        self.path = project.folder / f"output-{self.number}.txt"
        with self.path.open("wb") as output:
            self.process = self.cluster.start(
                *command,
                folder=project.folder,
                env={**project.environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> str:
        return self.path.read_text(errors="replace")

    def finish(self, seconds: float = 150) -> int:
        """Its exit status. A call that hangs, as those of this executor do when they fail, is shown and ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            account = self.account()
            self.signal(signal.SIGKILL)
            raise AssertionError(f"Snakemake did not end within {seconds:g} s\n{account}") from None

    def finished(self, seconds: float = 150) -> Workflow:
        """Itself, at its end."""
        self.finish(seconds)
        return self

    def succeed(self, seconds: float = 150) -> None:
        assert self.finish(seconds) == 0, self.account()

    def account(self) -> str:
        """What happened, for whoever has to find out why."""
        tail = "\n".join(self.output.splitlines()[-60:])
        logs = "\n".join(
            f"--- {path}\n{path.read_text()[-1500:]}" for path in self.project.folder.rglob("slurm/**/*.log")
        )
        return f"{tail}\n{logs}\n{self.cluster.logs()}\n" + "\n".join(map(str, self.cluster.completions()))

    def signal(self, number: signal.Signals) -> None:
        """To Snakemake itself, which is the child of what entered the namespaces, and stops and goes on with it."""
        for process in children(self.process.pid):
            os.kill(process, number)
        if number == signal.SIGCONT:
            self.process.send_signal(number)

    def interrupt(self) -> None:
        """As Ctrl-C does: the whole group of processes, but for what entered the namespaces."""
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(ProcessLookupError):
                if os.getpgid(int(entry.name)) == self.process.pid != int(entry.name):
                    os.kill(int(entry.name), signal.SIGINT)

    def submitted(self) -> list[str]:
        """Ids in Slurm of the jobs that it submitted."""
        return re.findall(r"has been submitted with SLURM jobid (\d+)", self.output)

    def wait_for_submission(self, count: int = 1, seconds: float = 60) -> list[str]:
        wait_for(lambda: len(self.submitted()) >= count or self.ended(), seconds, self.account)
        assert len(self.submitted()) >= count, self.account()
        return self.submitted()

    def ended(self) -> bool:
        return self.process.poll() is not None


# Instead of the project's own: jobs that take time, and nothing else.
WAITING = """\
rule all:
    input:
        expand("ended/{i}", i=range(COUNT)),
    localrule: True


rule wait:
    input:
        lambda wildcards: ["gate"] if int(wildcards.i) >= AT_ONCE else [],
    output:
        "ended/{i}",
    resources:
        gpu=0,
        mem_mb=1000,
        runtime=10,
    shell:
        "mkdir -p begun && touch begun/{wildcards.i} && sleep SECONDS && touch {output}"


rule gate:
    output:
        touch("gate"),
    localrule: True
    shell:
        "until [ -e open ]; do sleep 0.1; done"
"""


class ClusterProject(Project):
    """A copy of the project, on a cluster. OWN_COMMANDS=0 leaves out the commands that stand before Slurm's."""

    def __init__(self, folder: Path, cluster: Cluster, study: str = STUDY) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.write("study.yaml", study)
        if os.environ.get("OWN_COMMANDS") == "0":
            shutil.rmtree(folder / "profiles" / "slurm" / "bin")

    def only_wait(self, count: int, seconds: float, at_once: int | None = None) -> None:
        """Has the workflow be one of jobs that do nothing for so long. Those after ``at_once`` wait for a file `open`."""
        values = {"COUNT": count, "SECONDS": seconds, "AT_ONCE": count if at_once is None else at_once}
        text = WAITING
        for name, value in values.items():
            text = text.replace(name, str(value))
        self.write("Snakefile", text)

    def break_runs(self) -> None:
        """Has trainings fail whose id has in it what the variable BROKEN says."""
        old = "    say = partial(print, file=stream, flush=True)\n"
        failure = 'raise RuntimeError("broken on purpose")'
        new = f'    import os\n\n    if os.environ.get("BROKEN", "?") in task.run:\n        {failure}\n'
        self.edit("nmepkg/training/train.py", old, new + old)

    def has_begun(self, count: int) -> bool:
        """Whether so many of those jobs are at work."""
        return len(list(self.folder.glob("begun/*"))) >= count

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "OUTAGE_PAUSE": "2"}

    def command(self, *arguments: str, study: str | None = "study.yaml") -> list[str]:
        snakemake = [sys.executable, "-P", str(Path(__file__).with_name("impatient.py"))]
        command = [*snakemake, "--profile", "profiles/slurm", "-p", *arguments, *QUICK]
        return command if study is None else [*command, "--configfile", study]

    def call(self, *arguments: str, study: str | None = "study.yaml", **variables: str) -> Workflow:
        """Starts Snakemake on the cluster."""
        return Workflow(self, self.command(*arguments, study=study), **variables)

    def results(self) -> Path:
        return self.folder / "results"

    def wait_for_checkpoint(self, workflow: Workflow, seconds: float = 90) -> None:
        """Until a training has something to go on from."""
        checkpoints = "results/runs/*/checkpoint.npz"
        wait_for(lambda: any(self.folder.glob(checkpoints)) or workflow.ended(), seconds, workflow.account)
        assert any(self.folder.glob(checkpoints)), workflow.account()

    def steps_taken_up(self) -> list[int]:
        """After which steps trainings went on."""
        logs = "".join(path.read_text() for path in (self.results() / "logs" / "train").glob("*.log"))
        return [int(step) for step in re.findall(r"continues after step (\d+)", logs)]

    def trainings(self) -> list[int]:
        """Process ids of trainings, as they are known outside the cluster."""
        return list(trainings(self))


def jobs_of(cluster: Cluster, ids: list[str]) -> list[dict[str, str]]:
    """What Slurm knows about jobs: what they asked for and what became of them."""
    lines = cluster.run("scontrol", "--oneliner", "show", "jobs").splitlines()
    jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines]
    return [job for job in jobs if job.get("JobId") in ids]


def states(cluster: Cluster, ids: list[str]) -> Counter[str]:
    """How often jobs ended in which way, from Slurm's log of that."""
    return Counter(job["JobState"] for job in cluster.completions() if job["JobId"] in ids)
