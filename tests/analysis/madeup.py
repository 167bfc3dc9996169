"""Results of a study's figures made up without training, as extreme as results can be, and the figures drawn from them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas

from nmepkg.analysis.curves import collect
from nmepkg.analysis.labels import activation_label
from nmepkg.analysis.observations import Source
from nmepkg.analysis.planes import collect as collect_planes
from nmepkg.analysis.quantities import bounds
from nmepkg.analysis.style import RC
from nmepkg.registry import FIGURES, MEASUREMENTS
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.storage import Store
from nmepkg.study.setups import counts
from nmepkg.study.spec import Figure, Study
from tests.analysis.planes import arrays
from tests.analysis.samples import PROVENANCE, plane

METRICS = [f"{part}_{what}" for part in ("train", "validation", "test") for what in ("loss", "accuracy")]
LARGE = (1e-12, 1e-3, 1.0, 1e3, 1e12)


def drawn(study: Study, expansion: Expansion, figure: Figure, seed: int) -> Canvas:
    """The figure of results that a seed makes up."""
    rng = random.Random(seed)
    draw = FIGURES[figure.kind].load()
    with matplotlib.rc_context(RC):
        if figure.landscape is not None:
            panels = [(activation_label(entry), arrays()) for entry, _ in expansion.landscapes[figure.landscape]]
            return draw(panels, figure.title)
        results = {id: _result(expansion.runs[id], rng) for id in expansion.runs_of(figure)}
        jobs = [expansion.measurements[id] for id in expansion.measurements_of(figure)]
        measured = {(str(job.run), job.id): _measurement(job, expansion.runs[str(job.run)], rng) for job in jobs}
        collect_all = collect_planes if figure.kind == "plane" else collect
        found = collect_all(figure, expansion.cells_of(figure), Source(Store(Path("nowhere")), results, measured))
        return draw(found, {name: setup.title for name, setup in study.setups.items()})


def number(name: str, rng: random.Random, size: float) -> float:
    """Something that a quantity can be: its bounds too, and 0."""
    low, high = bounds([name])
    if rng.random() < 0.1:
        return max(low, min(high, 0.0))
    return max(low, min(high, size * rng.uniform(-1, 1)))


def _result(run: Run, rng: random.Random) -> Mapping[str, Any]:
    size, validated = rng.choice(LARGE), counts(run.spec).validation > 0
    row = {name: number(name, rng, size) if validated or "validation" not in name else None for name in METRICS}
    last = {"epoch": 1, "step": counts(run.spec).steps, **row}
    diverged = rng.random() < rng.choice([0, 0, 0.3, 1])
    return {
        "status": "diverged" if diverged else "completed",
        "history": [last],
        "final": last,
        "best_validation": last if validated else None,
        "median_last": None if diverged else {"evaluations": 1, **row},
        "diverged": {"epoch": 1, "step": last["step"]} if diverged else None,
        "provenance": PROVENANCE,
        "spec": run.spec,
    }


def _measurement(job: Job, run: Run, rng: random.Random) -> Mapping[str, Any]:
    """A run may diverge on the way: then it ends at a step of its own, and what comes later is not reached."""
    quantities, size, steps = MEASUREMENTS[job.spec["kind"]].quantities, rng.choice(LARGE), counts(run.spec).steps
    end = rng.choice([steps, steps, rng.randint(1, steps)])
    points = []
    for at in job.spec["at"]:
        step = {"initial": 0, "final": end}.get(at, at)
        status = "not_reached" if step > end else "not_finite" if end < steps and at == "final" else "measured"
        values = {name: number(name, rng, size) for name in quantities}
        values |= {f"{name}_se": abs(size) for name in quantities}
        if job.spec["kind"] == "loss_plane":
            values = plane(job.spec, *(rng.choice(LARGE) * rng.choice([-1, 0, 1, 1]) for _ in range(3)))
        if "radii" in job.spec:
            values = {name: [value, *(-value for _ in job.spec["radii"][1:])] for name, value in values.items()}
        points.append({"at": at, "step": step, "status": status, "values": values if status == "measured" else None})
    content = {"run": job.run, "measurement": job.id, "spec": job.spec, "points": points, "provenance": PROVENANCE}
    return content


def is_finite(canvas: Canvas) -> bool:
    """Whether every panel has a range."""
    return all(np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all() for axes in canvas.axes)
