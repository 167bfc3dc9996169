"""The files of a figure: complete, the same bytes for the same results, and traceable to their runs."""

import io
from dataclasses import replace
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from PIL import Image

from nmepkg.analysis.figures.curve import draw
from nmepkg.analysis.render import mixed_versions, tables, write_tables
from nmepkg.analysis.save import FORMATS, Origin, save
from nmepkg.analysis.style import RC
from tests.analysis.samples import Sample, figure, grid

ORIGIN = Origin("mnist1d", "figure_1", "SAM and PSAM", "c0dec0de", "0123456789ab")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return grid(
        tmp_path_factory.mktemp("store"), lambda s, m, a, rho, k: None if rho == 0.1 and k == 0 else 0.6 + 0.1 * k
    )


def _save(sample: Sample, stem: Path, origin: Origin = ORIGIN) -> dict[str, bytes]:
    curves = sample.collect(figure(columns="activation", lines="method", title="SAM and PSAM, ρ"))
    with matplotlib.rc_context(RC):
        save(draw(curves, {}), stem, origin)
    points, runs = tables(curves)
    write_tables(points.assign(note=origin.note), runs, stem)
    return {path.name: path.read_bytes() for path in sorted(stem.parent.iterdir())}


def test_the_same_results_give_the_same_bytes(sample: Sample, tmp_path: Path) -> None:
    first, second = (_save(sample, tmp_path / name / "figure_1") for name in ("a", "b"))
    assert set(first) == {f"figure_1.{kind}" for kind in (*FORMATS, "csv", "runs.csv")}  # and no temporary file
    assert first == second


def test_every_format_says_what_it_was_made_from(sample: Sample, tmp_path: Path) -> None:
    files = _save(sample, tmp_path / "figure_1", replace(ORIGIN, note="mixed versions: jax 1, 2"))
    text = Image.open(io.BytesIO(files["figure_1.png"])).text
    assert text["Title"] == "mnist1d: figure_1"
    for part in ("study=mnist1d", "figure=figure_1", "code=c0dec0de", "runs=0123456789ab", "note=mixed versions"):
        assert part in text["Comment"]
        assert part.encode() in files["figure_1.svg"]
        assert part.encode() in files["figure_1.pdf"]
    assert b"Date" not in files["figure_1.pdf"]
    assert b"<dc:date>" not in files["figure_1.svg"]


def test_a_png_has_the_resolution_of_print(sample: Sample, tmp_path: Path) -> None:
    image = Image.open(io.BytesIO(_save(sample, tmp_path / "figure_1")["figure_1.png"]))
    assert image.width == 6.75 * 300
    assert len(image.convert("RGB").getcolors(2**24) or []) > 50


def test_text_in_a_pdf_is_embedded_as_truetype(sample: Sample, tmp_path: Path) -> None:
    pdf = _save(sample, tmp_path / "figure_1")["figure_1.pdf"]
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf


def test_tables_can_be_read_back(sample: Sample, tmp_path: Path) -> None:
    _save(sample, tmp_path / "figure_1")
    points, runs = pd.read_csv(tmp_path / "figure_1.csv"), pd.read_csv(tmp_path / "figure_1.runs.csv")
    assert len(points) == 2 * 2 * 3
    assert len(runs) == points["n_seeds"].sum() + points["n_diverged"].sum()
    assert set(" ".join(points["runs"]).split()) == set(runs["run"]) == set(sample.specs)
    completed = runs[runs["status"] == "completed"]
    means = completed.groupby(["method", "activation", "x"])["final_test_accuracy"].mean()
    for _, point in points.iterrows():
        assert point["mean"] == pytest.approx(means[point["method"], point["activation"], point["x"]], rel=1e-12)


def test_runs_of_different_environments_are_noted(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(0.5, seed=0)
    sample.add(0.5, seed=1, code="other")
    assert mixed_versions(sample.collect(figure()).runs) == ""
    sample.add(0.5, seed=2, jax="0.10.3", device="gpu")
    assert mixed_versions(sample.collect(figure()).runs) == "mixed versions: jax 0.10.2, 0.10.3; device cpu, gpu"
