"""Kills at random moments of whatever a workflow runs, and a comparison with one that was left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from tests.workflow.forks import Fork
from tests.workflow.project import Project

STUDY = """\
version: 1
name: killed
checkpoints: {seconds: 0.05, epochs: 1}
setups:
  mlp:
    data: {name: mnist1d, samples: 400}
    model: {name: mlp, width: 16, depth: 2, batch_norm: true}
    optimizer: {learning_rate: 0.05, warmup_epochs: 2, weight_decay: 5e-4}
    training: {epochs: 100, batch_size: 16, evaluate_every: 20}
measurements:
  step: {kind: alignment, at: [initial, 1, 500, 1301, final], examples: 64}
experiments:
  penalty: {setups: [mlp], methods: [psam], activations: [gelu], rho: [0, 0.1], seeds: [0], measurements: [step]}
  noise: {setups: [mlp], methods: [weight_noise], activations: [gelu], sigma2: [1e-4], seeds: [0], measurements: [step]}
figures:
  curve: {experiments: [penalty], x: rho}
  step: {experiments: [penalty], measurement: step, x: rho, y: norm_N, lines: at}
"""

# What is killed, with which signal: a training; Snakemake, whose jobs go on; all its processes at once.
TARGETS = (
    ("training", signal.SIGKILL),
    ("training", signal.SIGTERM),
    ("training", signal.SIGUSR1),
    ("snakemake", signal.SIGKILL),
    ("everything", signal.SIGKILL),
    ("everything", signal.SIGINT),
)


def processes(project: Project) -> Iterator[tuple[int, list[bytes]]]:
    """Ids and commands of what works in a project's folder: Snakemake and jobs, orphans too."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str((entry / "cwd").readlink()) == str(project.folder):
                yield int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")


def trainings(project: Project, script: str = "train.py") -> Iterator[int]:
    """Process ids of the project's trainings, orphans too."""
    name = f"workflow/scripts/{script}".encode()
    return (process for process, command in processes(project) if any(word.endswith(name) for word in command))


def kill(project: Project, workflow: Fork, target: str, number: signal.Signals, generator: random.Random) -> bool:
    """Sends a signal; whether there was anything to send it to."""
    try:
        if target == "training":
            os.kill(generator.choice(list(trainings(project))), number)
        elif target == "snakemake":
            os.kill(workflow.pid, number)
        else:
            os.killpg(workflow.pid, number)
    except (IndexError, ProcessLookupError):
        return False
    return True


def pause(project: Project, generator: random.Random) -> None:
    """Waits up to four seconds; one time in two, until a moment after a training has written a checkpoint."""
    end = time.monotonic() + generator.uniform(0.1, 4.0)
    if generator.random() < 0.5:
        while not list(project.folder.glob("results/runs/*/checkpoint.npz")) and time.monotonic() < end + 4:
            time.sleep(0.02)
        end = time.monotonic() + generator.uniform(0, 0.5)
    time.sleep(max(0, end - time.monotonic()))


def disturb(project: Project, kills: int, generator: random.Random) -> list[str]:
    """Has the workflow do its work under at most so many signals; returns what was hit and when, a line each."""
    account: list[str] = []
    workflow, begun = project.start("all"), time.monotonic()
    while len(account) < kills:
        pause(project, generator)
        target, number = generator.choice(TARGETS)
        if workflow.poll() == 0:
            break
        if workflow.poll() is not None:
            workflow, begun = project.start("all"), time.monotonic()
        elif kill(project, workflow, target, number, generator):
            account.append(f"{number.name} to {target} after {time.monotonic() - begun:.1f} s")
            if target != "training":
                workflow.wait(timeout=120)
    workflow.wait(timeout=300)
    while list(trainings(project)):  # orphans of a killed Snakemake
        time.sleep(0.1)
    return account


def results(project: Project) -> dict[str, bytes | dict[str, object]]:
    """What a workflow computed, without where and when."""
    found: dict[str, bytes | dict[str, object]] = {}
    for path in sorted(project.folder.glob("results/**/*")):
        name = str(path.relative_to(project.folder))
        if path.suffix == ".npz":
            with np.load(path) as file:
                found[name] = b"".join(file[key].tobytes() for key in sorted(set(file.files) - {"description"}))
        elif path.name.endswith(".csv"):
            found[name] = path.read_bytes()
        elif path.suffix == ".json" and path.parts[-3] in ("runs", "measurements"):
            found[name] = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("provenance", "sha256")}
    return found
