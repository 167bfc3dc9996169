"""The picture of ``growth.csv``: CPU time and memory against the number of runs, both axes logarithmic.

python benchmarks/growth_picture.py docs/performance/growth.csv docs/performance/growth.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

# The most of each: with nothing finished there is most to plan, with half finished most to explain.
SHOWN = {
    "expansion": "none",
    "plan": "none",
    "status": "all",
    "explain": "half",
    "figures": "all",
    "claims": "all",
    "page": "all",
    "report": "all",
}


def draw(table: Path, out: Path) -> None:
    """Draws a line a step; the dashed ones are proportional to the number of runs."""
    costs = pd.read_csv(table)
    canvas, panels = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    for axes, column, label in zip(panels, ("cpu_s", "memory_mb"), ("CPU time, s", "peak memory, MB"), strict=True):
        for step, finished in SHOWN.items():
            line = costs[(costs["step"] == step) & (costs["finished"] == finished)].sort_values("runs")
            axes.plot(line["runs"], line[column], "o-", label=step)
        axes.set(xscale="log", yscale="log", xlabel="runs of the study", ylabel=label)
        limits = axes.get_ylim()
        ends = costs["runs"].min(), costs["runs"].max()
        for start in (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0):
            axes.plot(ends, [start, start * ends[1] / ends[0]], "--", color="0.8", linewidth=0.8, zorder=0)
        axes.set_ylim(limits)
        ticks = sorted(set(costs["runs"]))
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
        axes.minorticks_off()
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    canvas.savefig(out, dpi=120)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
