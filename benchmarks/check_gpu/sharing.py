"""Trainings that share the card, side by side and in one program (:mod:`benchmarks.sharing`)."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

from benchmarks.check_gpu.outcomes import Outcome, Task
from benchmarks.sharing import NETWORKS, PROCESSES, measure


def run(task: Task) -> Outcome:
    """``sharing.csv`` in the folder of the check."""
    until, file = time.monotonic() + task.seconds, task.folder / "sharing.csv"
    small = {"networks": NETWORKS[:1], "counts": (1,), "hows": (PROCESSES,), "seconds": 0.01} if task.small else {}
    for row in measure(file, until, **small):
        print(row, flush=True)
    return Outcome("passed" if time.monotonic() < until else "cut off", told(file), {"file": file.name})


def told(file: Path) -> str:
    """In a line, by network and way: the steps a second of most runs together, beside those of one alone."""
    rows = pd.read_csv(file)
    most = rows.dropna(subset="runs").sort_values("runs").groupby(["network", "how"], sort=False).last().reset_index()
    parts = [
        f"{row.network}, {row.how}: {row.runs:.0f} runs at {row.to_one:.2f} × the rate of one"
        for row in most.itertuples()
    ]
    failed = rows["error"].notna().sum()
    return "; ".join(parts + ([f"{failed} failed"] if failed else [])) or "nothing was measured"
