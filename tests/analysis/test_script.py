"""The figure script on a real study whose results are synthetic."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from nmepkg.study.expand import expand
from nmepkg.study.load import load
from tests.analysis.samples import Sample, measurement_content, result

ROOT = Path(__file__).resolve().parents[2]
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
measurements:
  curvature: {kind: traces, at: [initial, final]}
figures:
  curve: {experiments: [grid], x: rho, columns: activation, lines: method}
  beta: {experiments: [beta], x: beta, lines: method}
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
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    sample = Sample(tmp_path / "results")
    expansion = expand(load(tmp_path / "study.yaml"))
    for run in expansion.runs.values():
        sample.write(run.id, result(run.id, run.spec, 0.5 + 0.1 * run.spec["seed"]))
    for job in expansion.measurements.values():
        assert job.run is not None
        measured = {at: {"tr_H": 1.0, "tr_G": 2.0, "tr_N": -1.0} for at in ("initial", "final")}
        sample.write_measurement(job, measurement_content(job, expansion.runs[job.run].spec, measured))
    return tmp_path


def _draw(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, str(ROOT / "workflow" / "scripts" / "figure.py")),
            *("--study", "study.yaml", "--figure", name, "--out", f"out/{name}", *more),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("name", "points", "labels"), [
    ("curve", 2 * 3 * 3, {"GELU", "GELU, φ″ := 0", "rectifier"}),
    ("beta", 2 * 3, {"β-GELU"}),
    ("traces", 2 * 2 * 2 * 2, {"GELU"}),
])  # fmt: skip
def test_figures_of_a_study(folder: Path, name: str, points: int, labels: set[str]) -> None:
    done = _draw(folder, name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    endings = sorted(path.name.removeprefix(name) for path in (folder / "out").iterdir())
    assert endings == [".csv", ".pdf", ".png", ".runs.csv", ".svg"]
    table = pd.read_csv(folder / "out" / f"{name}.csv")
    assert len(table) == points
    assert set(table["activation"]) == labels
    assert (table["n_seeds"] == 2).all()


def test_user_errors_are_one_line_and_status_2(folder: Path) -> None:
    for arguments, message in (
        (["curve", "--digest", "0"], "changed since this job was planned"),
        (["curves"], "no figure 'curves'; choose from curve, beta, traces"),
    ):
        _refused(_draw(folder, *arguments), message)
    study = load(folder / "study.yaml")
    expansion = expand(study)
    lost = expansion.runs_of(study.figures["beta"])[0]
    (folder / "results" / "runs" / lost / "result.json").unlink()
    _refused(_draw(folder, "beta"), f"1 of 12 results are missing, the first is results/runs/{lost}/result.json")
    job = expansion.measurements[expansion.measurements_of(study.figures["traces"])[0]]
    path = Path("results", "measurements", str(job.run), f"{job.id}.json")
    (folder / path).unlink()
    _refused(_draw(folder, "traces"), f"1 of 6 measurements are missing, the first is {path}")
    assert not (folder / "out").exists()


def _refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_jax_is_not_imported() -> None:
    code = (
        "import sys, nmepkg.analysis.render, nmepkg.analysis.figures.curve, nmepkg.study.expand;"
        "sys.exit(any(name in sys.modules for name in ('jax', 'flax', 'optax', 'scipy.stats', 'matplotlib.pyplot')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
