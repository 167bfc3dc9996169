"""Steps, products with H and G, and the card's own product: time, memory, and PyTorch's beside them (:mod:`benchmarks.gpu`)."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

from benchmarks.check_gpu.outcomes import Outcome, Task
from benchmarks.gpu.__main__ import measure
from benchmarks.gpu.cases import CEILING, DESCRIBED, NETWORKS, OURS, PYTORCH


def run(task: Task) -> Outcome:
    """``gpu.csv`` in the folder of the check."""
    until, file = time.monotonic() + task.seconds, task.folder / "gpu.csv"
    networks, seconds, side = ((), 0.01, "64") if task.small else (NETWORKS, 1, "8192")
    for row in measure(file, until, networks=networks, seconds=seconds, side=side):
        print({key: value for key, value in row.items() if value not in ("", None)}, flush=True)
    return Outcome("passed" if time.monotonic() < until else "cut off", told(file), {"file": file.name})


def told(file: Path) -> str:
    """In a line: how many steps were measured, how they compare, and what share of the card the largest network reaches."""
    rows = pd.read_csv(file)
    times = rows.pivot_table("milliseconds", ["network", "task"], "library", sort=False)
    line = f"{rows['milliseconds'].notna().sum()} times"
    if PYTORCH in times:
        ratios = (times[OURS] / times[PYTORCH]).drop(CEILING, errors="ignore").dropna()
        line += f", ours / PyTorch's {ratios.min():.2f} to {ratios.max():.2f} (median {ratios.median():.2f})"
    tflop = rows.groupby(["network", "task"])["tflop"].first()
    rate = (1e3 * tflop / times[OURS]).dropna()
    steps = rate.drop(CEILING, errors="ignore")
    if CEILING in rate.index and len(steps):
        best = " by ".join(map(str, tuple(steps.index)[int(steps.argmax())]))
        line += f"; of the card's own product {best} reaches {steps.max() / rate[CEILING].max():.0%}"
    memory = rows.pivot_table("gigabytes", ["network", "task"], "library")
    if DESCRIBED in memory:
        ratios = (memory[DESCRIBED] / memory[OURS]).dropna()
        line += f"; memory by fits / reserved {ratios.min():.2f} to {ratios.max():.2f}"
    failed = rows["error"].notna().sum()
    return line + (f"; {failed} failed" if failed else "")
