"""A real study whose results are synthetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure as Canvas

from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion, Job, Run
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from tests.analysis import planes
from tests.analysis.samples import PROVENANCE, Sample, measurement_content, plane, result

STUDY = """\
version: 1
name: small
setups:
  mlp:
    title: MLP on MNIST-1D
    data: mnist1d
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
experiments:
  grid:
    setups: [mlp]
    methods: [sam, psam]
    activations: [gelu, {name: gelu, second_derivative: zero}, {name: relu, label: rectifier}]
    rho: [0, 0.01, 0.1]
    seeds: [0, 1]
  beta:
    setups: [mlp]
    methods: [sgd, psam]
    activations: [{name: beta_gelu, beta: [1, 1e3, 1e6]}]
    rho: [0.1]
    seeds: [0, 1]
  penalties:
    setups: [mlp]
    methods: [weight_noise, {name: hessian_trace, samples: 5}]
    activations: [gelu]
    sigma2: [0, 1e-3]
    seeds: [0, 1]
    measurements: [curvature]
  small: {setups: [mlp], methods: [sgd], activations: [gelu], seeds: [0, 1], measurements: [around]}
measurements:
  curvature: {kind: traces, at: [initial, final]}
  around: {kind: loss_plane, at: [initial, final], points: 5}
landscapes:
  plane:
    model: {name: mlp, width: 2, depth: 2}
    inputs: 3
    activations: [relu, gelu]
    weights: [[0, 0], [2, 1]]
    range: [-3, 3]
    points: 31
figures:
  curve: {experiments: [grid], x: rho, columns: activation, lines: method}
  beta: {experiments: [beta], x: beta, lines: method, title: "Sharpness (β, ρ = 0.1)"}
  traces:
    experiments: [penalties]
    measurement: curvature
    x: step
    x_scale: linear
    y: [tr_H, tr_G]
    y_scale: symlog
    rows: sigma2
    columns: method
    lines: quantity
  plane: {kind: landscape, landscape: plane}
  around: {kind: plane, experiments: [small], measurement: around, rows: setup, columns: at}
"""

Provenance = Callable[[Run | Job], dict[str, Any]]  # what differs in that of a run, measurement or landscape


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Every figure is an empty sheet: its files are made as ever, and what is drawn takes most of the time."""
    for kind in ("curve", "landscape", "plane"):
        patch.setattr(f"nmepkg.analysis.figures.{kind}.draw", lambda *_: Canvas(figsize=(3, 1)))


def prepare(folder: Path, provenance: Provenance = lambda job: {}, text: str = STUDY) -> tuple[Study, Expansion]:
    """Writes ``study.yaml`` and, in ``results``, everything that its figures show."""
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    study = replace(load(folder / "study.yaml"), store=str(folder / "results"))
    expansion, sample = expand(study), Sample(folder / "results")
    for run in expansion.runs.values():
        sample.write(run.id, result(run.id, run.spec, 0.5 + 0.1 * run.spec["seed"], **provenance(run)))
    for job in expansion.measurements.values():
        spec = expansion.runs[str(job.run)].spec
        values = {"tr_H": 1.0, "tr_G": 2.0, "tr_N": -1.0}
        values = plane(job.spec) if job.spec["kind"] == "loss_plane" else values
        measured = dict.fromkeys(("initial", "final"), values)
        sample.write_measurement(job, measurement_content(job, spec, measured, **provenance(job)))
    for _, job in expansion.landscapes["plane"]:
        path = sample.store.landscape(job.id)
        path.parent.mkdir(exist_ok=True)
        origin = {**PROVENANCE, **provenance(job)}
        planes.write(path, description_spec=job.spec, description_provenance=origin)
    return study, expansion
