"""What the card's shortened products do to the methods' steps (:mod:`benchmarks.rounding`)."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import jax
import pandas as pd

from benchmarks import rounding
from benchmarks.check_gpu.outcomes import Outcome, Task

NETWORKS = ("MLP 3×128", "CNN, 28×28")
FIELDS = ("network", "device", "method", "step", "strength", "products", "error", "correction", "share")


def run(task: Task) -> Outcome:
    """``rounding.csv`` in the folder of the check: of the quick cases, on networks after 200 steps of SGD."""
    until, file = time.monotonic() + task.seconds, task.folder / "rounding.csv"
    names, cases, steps = (NETWORKS[:1], rounding.QUICK[:2], 2) if task.small else (NETWORKS, rounding.QUICK, 200)
    gpu = jax.default_backend() == "gpu"
    about = {"device": jax.devices()[0].device_kind if gpu else "emulated"}
    file.touch()
    known = set(pd.read_csv(file)["network"]) if file.stat().st_size else set()
    for name in (name for name in names if name not in known):
        network = rounding.NETWORKS[name]
        rows = []
        for row in rounding.rows(network, rounding.learned(network, steps), cases, gpu):
            rows.append({"network": name, **about, **row})
            if time.monotonic() > until:
                return Outcome("cut off", f"{name} was not finished; {told(file)}")
        with file.open("a", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, FIELDS)
            if not opened.tell():
                writer.writeheader()
            writer.writerows(rows)
    return Outcome("passed", told(file), {"file": file.name})


def told(file: Path) -> str:
    """In a line, by precision: the largest error of what SAM at ρ = 0.01 adds to the gradient."""
    if not file.stat().st_size:
        return "nothing was measured"
    rows = pd.read_csv(file)
    worst = (
        rows[(rows["method"] == "sam") & (rows["strength"] == 0.01)].groupby("products", sort=False)["correction"].max()
    )
    return "what SAM adds to the gradient at ρ = 0.01 is off by " + ", ".join(
        f"{x:.1%} ({name})" for name, x in worst.items()
    )
