"""A study in small runs from end to end, data sets that it names missing or not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nmepkg.study.load import load
from tests.workflow.project import ROOT, Project

STUDY = """\
version: 1
name: images
setups:
  images:
    data: fashion_mnist
    augmentation: pad_crop_flip
    model: {name: cnn, channels: [32, 64], width: 128}
    optimizer: {learning_rate: 0.1, warmup_epochs: 5}
    training: {epochs: 100, batch_size: 128, accumulate: 2, evaluate_train: 10000}
measurements:
  alignment: {kind: alignment, at: [initial, 1000, final]}
experiments:
  main:
    setups: [images]
    methods: [{name: sam, m: 32}]
    activations: [gelu]
    rho: [0, 0.1]
    seeds: [0, 1, 2]
    measurements: [alignment]
figures:
  curve: {experiments: [main], x: rho, report: median_last}
  along: {experiments: [main], measurement: alignment, x: step, y: gradient_norm, x_scale: linear, lines: rho}
"""


def test_a_study_of_images_in_small(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("study.yaml", STUDY)
    call = ("report", "--config", "study=study.yaml", "smoke=true", "select=[images]")
    done = project.snakemake(*call, study=None)
    assert done.returncode == 0, done.stdout
    folder = tmp_path / "results" / "figures" / "images-smoke"
    assert {"curve.pdf", "along.svg", "curve.csv"} <= {path.name for path in folder.iterdir()}
    assert (folder / "study.yaml").read_text().startswith("# Taken with --smoke --select=images\nversion: 1\n")
    assert "Nothing to be done" in project.snakemake(*call, study=None).stdout
    assert "Nothing to be done" in project.snakemake("figures", *call[1:-1], study=None).stdout, (
        "figures show no selection"
    )
    assert project.nmepkg("status", "--smoke")["runs"]["done"] == 2


@pytest.mark.soak
@pytest.mark.parametrize("study", ["paper", "one_gpu_day", "fashion_mnist", "config", "controls"])
def test_the_studies_in_small(tmp_path: Path, study: str) -> None:
    """Every method, model and measurement of a study, and all its figures. Compiling them takes up to half an hour."""
    project = Project(tmp_path)
    shutil.copy(ROOT / "config" / f"{study}.yaml", tmp_path / "study.yaml")
    command = project.command("figures", "--config", "study=study.yaml", "smoke=true", study=None)
    done = subprocess.run(command, cwd=tmp_path, env=project.environment, capture_output=True, text=True, timeout=7200)
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = {path.stem for path in tmp_path.glob("results/figures/*-smoke/*.pdf")}
    assert drawn >= set(load(tmp_path / "study.yaml").figures)
