"""The figure script on a real study whose results are synthetic."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

from nmepkg import records
from nmepkg.__main__ import main
from nmepkg.runs.figure_identity import figure_digest
from nmepkg.storage import FIGURE, figure_record
from tests.analysis.study import prepare

ROOT = Path(__file__).resolve().parents[2]


SCRIPT = ROOT / "workflow" / "scripts" / "figure.py"


def _arguments(name: str, *more: str) -> list[str]:
    return ["--study", "study.yaml", "--figure", name, "--out", "out", *more]


def _draw(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *_arguments(name, *more)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def draw_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """The script in this process, which has imported everything."""

    def draw(name: str, *more: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *_arguments(name, *more)])
        code: Any = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess(sys.argv, code, *capfd.readouterr())

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    with patch.dict(os.environ):  # which the scripts' own module changes
        yield draw
    sys.modules.pop("job", None)  # that module; libraries stay, as some of theirs would not fit a second import


@pytest.mark.parametrize(("name", "points", "labels"), [
    ("curve", 2 * 3 * 3, {"GELU", "GELU, φ″ := 0", "rectifier"}),
    ("beta", 2 * 3, {"β-GELU (β = 1)", "β-GELU (β = 1000)", "β-GELU (β = 1e+06)"}),
    ("traces", 2 * 2 * 2 * 2, {"GELU"}),
])  # fmt: skip
def test_figures_of_a_study(tmp_path: Path, name: str, points: int, labels: set[str]) -> None:
    study, expansion = prepare(tmp_path)
    digest = figure_digest(study, expansion, study.figures[name])
    done = _draw(tmp_path, name, "--digest", digest)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    out = tmp_path / "out"
    endings = sorted(path.name.removeprefix(name) for path in out.iterdir() if path.is_file())
    assert endings == [".csv", ".pdf", ".png", ".runs.csv", ".svg"]
    assert list(out.rglob("*.json")) == [figure_record(out, name, digest)]
    assert records.read(figure_record(out, name, digest), FIGURE, {"digest": digest})["figure"] == name
    table = pd.read_csv(out / f"{name}.csv")
    assert len(table) == points
    assert set(table["activation_label"]) == labels
    assert (table["n_seeds"] == 2).all()


def test_a_note_is_a_warning_of_one_line(tmp_path: Path, draw_here: Callable[..., Any]) -> None:
    prepare(tmp_path, lambda job: {"jax": "0.10.3"} if job.spec.get("seed") == 1 else {})
    done = draw_here("beta")
    note = "figure.py: warning: figure 'beta': mixes jax 0.10.2, 0.10.3\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", note)


def test_user_errors_are_one_line_and_status_2(tmp_path: Path, draw_here: Callable[..., Any]) -> None:
    study, expansion = prepare(tmp_path)
    for arguments, message in (
        (["curve", "--digest", "0"], "changed since this job was planned"),
        (["curves"], "no figure 'curves'; choose from curve, beta, traces"),
    ):
        _refused(draw_here(*arguments), message)
    lost = expansion.runs_of(study.figures["beta"])[0]
    (tmp_path / "results" / "runs" / lost / "result.json").unlink()
    _refused(draw_here("beta"), f"1 of 12 results are missing, the first is results/runs/{lost}/result.json")
    job = expansion.measurements[expansion.measurements_of(study.figures["traces"])[0]]
    path = Path("results", "measurements", str(job.run), f"{job.id}.json")
    (tmp_path / path).unlink()
    _refused(draw_here("traces"), f"1 of 6 measurements are missing, the first is {path}")
    assert not (tmp_path / "out").exists()


def _refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_one_figure_is_drawn_as_asked_into_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")  # which the command sets, and later tests are to find as it was
    called = ["draw", "curve", "--out", "paper", "--study", "study.yaml", "--panel", "activation=rectifier"]
    assert main([*called, "--width", "column", "--svg", "text", "--colors", "{sam: red}"]) == 0
    assert "paper/curve.pdf" in capsys.readouterr().out
    assert set(pd.read_csv("paper/curve.csv")["activation_label"]) == {"rectifier"}
    assert "<text" in Path("paper/curve.svg").read_text(encoding="utf-8")
    assert not Path("out").exists()
    assert main([*called, "--font", "Helvetca"]) == 2
    assert "figures.curve.style.font: this machine has no font 'Helvetca'" in capsys.readouterr().err


def test_jax_is_not_imported() -> None:
    code = (
        "import sys, nmepkg.analysis.render, nmepkg.analysis.figures.curve, nmepkg.runs.expand;"
        "sys.exit(any(name in sys.modules for name in ('jax', 'flax', 'optax', 'scipy.stats', 'matplotlib.pyplot')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
