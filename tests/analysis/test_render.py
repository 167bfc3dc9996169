"""The files of a figure: complete, the same bytes for the same results, and traceable to their runs."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from nmepkg.analysis.figures import landscape
from nmepkg.analysis.figures.curve import draw
from nmepkg.analysis.render import adopted_runs, mixed_origins
from nmepkg.analysis.save import FORMATS, save
from nmepkg.analysis.style import RC
from nmepkg.analysis.tables import tables, write_tables
from tests.analysis import planes
from tests.analysis.embedded import inches, origin
from tests.analysis.figures import forms
from tests.analysis.samples import PROVENANCE, TRACES, Sample, figure, grid, measurement_content

ORIGIN: dict[str, Any] = {
    "study": "mnist1d",
    "figure": "figure_1",
    "title": "SAM and PSAM",
    "caption": 'Test accuracy against ρ, as in <1> & "2".',
    "digest": "0123456789ab",
    "code": "c0dec0de",
    "runs": ["mlp-sam-s0", "mlp-psam-s0"],
    "note": "",
}
NOTE = (
    "mixes jax 0.10.2, 0.10.3; device AMD EPYC 7763 64-Core Processor, NVIDIA A100-SXM4-80GB, "
    "NVIDIA H100 80GB HBM3; platform cpu, gpu; 12 of 36 results of other code, adopted"
)
DPI = 300
OLDER = {**PROVENANCE, "jax": "0.10.1"}
STEPS = [{"from": "before", "reason": "a name"}]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return grid(
        tmp_path_factory.mktemp("store"), lambda s, m, a, rho, k: None if rho == 0.1 and k == 0 else 0.6 + 0.1 * k
    )


def _save(sample: Sample, stem: Path, **changes: Any) -> dict[str, bytes]:
    curves = sample.collect(figure(columns="activation", lines="method", title="SAM and PSAM, ρ"))
    with matplotlib.rc_context(RC):
        save(draw(curves, {}), stem, {**ORIGIN, **changes})
    points, runs = tables(curves)
    write_tables(points.assign(note=changes.get("note", "")), runs, stem)
    return {path.name: path.read_bytes() for path in sorted(stem.parent.iterdir())}


@pytest.fixture(scope="module")
def saved(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, bytes]]:
    """The files of the figure with a note or "", saved once."""

    @cache
    def save_once(note: str) -> dict[str, bytes]:
        return _save(sample, tmp_path_factory.mktemp("saved") / "figure_1", note=note)

    return save_once


def _of_empty_sheet(folder: Path, **changes: Any) -> dict[str, bytes]:
    """The pictures of a figure on which nothing is drawn."""
    with matplotlib.rc_context(RC):
        save(Canvas(figsize=(3, 1)), folder / "figure_1", {**ORIGIN, **changes})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("note", ["", NOTE])
def test_the_same_results_give_the_same_bytes(
    sample: Sample, note: str, saved: Callable[[str], dict[str, bytes]], tmp_path: Path
) -> None:
    first, second = saved(note), _save(sample, tmp_path / "figure_1", note=note)
    assert set(first) == {f"figure_1.{kind}" for kind in (*FORMATS, "csv", "runs.csv")}  # and no temporary file
    assert first == second


@pytest.mark.parametrize("title", ["SAM and PSAM", "Parts (of N) \\ <H> & 'G'", "ρ, σ² and φ″ (\\)\n«N»"])
def test_every_format_says_what_it_was_made_from(title: str, tmp_path: Path) -> None:
    files = _of_empty_sheet(tmp_path, title=title, note=NOTE)
    for kind in FORMATS:
        assert origin(kind, files[f"figure_1.{kind}"]) == {**ORIGIN, "title": title, "note": NOTE}
    assert Image.open(io.BytesIO(files["figure_1.png"])).text["Title"] == "mnist1d: figure_1"
    assert b"Date" not in files["figure_1.pdf"]
    assert b"<dc:date>" not in files["figure_1.svg"]


def test_an_svg_has_a_title_and_a_description_for_those_who_cannot_see_it(
    saved: Callable[[str], dict[str, bytes]], tmp_path: Path
) -> None:
    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(saved("")["figure_1.svg"])
    title, description = root.findall(f"{space}title"), root.findall(f"{space}desc")
    assert [text.text for text in (*title, *description)] == [ORIGIN["title"], ORIGIN["caption"]]
    assert root.get("role") == "img"
    assert (
        root.get("aria-labelledby")
        == f"{title[0].get('id')} {description[0].get('id')}"
        == ("mnist1d-figure_1-title mnist1d-figure_1-desc")
    )
    plain = _of_empty_sheet(tmp_path, caption="", title="")["figure_1.svg"]
    root = ElementTree.fromstring(plain)
    assert (root.findtext(f"{space}title"), root.find(f"{space}desc")) == ("figure_1", None)


def test_a_png_has_the_resolution_of_print(saved: Callable[[str], dict[str, bytes]]) -> None:
    image = Image.open(io.BytesIO(saved("")["figure_1.png"]))
    assert image.width == 6.75 * DPI
    assert len(image.convert("RGB").getcolors(2**24) or []) > 50


FORMS = {
    "two columns": lambda folder: draw(forms.accuracies(folder), {}),
    "one column": lambda folder: draw(forms.explosion(folder), {}),
    "landscape": lambda folder: landscape.draw([("ReLU", planes.arrays()), ("GELU", planes.arrays(1.0))], "A title"),
}


@pytest.fixture(scope="module", params=FORMS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Canvas, Path, Path]:
    """A figure as drawn, and its files without and with a note."""
    folder = tmp_path_factory.mktemp("note")
    with matplotlib.rc_context(RC):
        canvas = FORMS[request.param](folder / "store")
        for note in ("", NOTE):  # which is written on the canvas: last
            save(canvas, folder / f"figure{len(note)}", {**ORIGIN, "note": note})
    return canvas, folder / "figure0", folder / f"figure{len(NOTE)}"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_note_makes_a_figure_higher_and_nothing_else_does(pair: tuple[Canvas, Path, Path], kind: str) -> None:
    canvas, *stems = pair
    drawn = tuple(canvas.get_size_inches())
    plain, noted = (inches(kind, stem.with_suffix(f".{kind}").read_bytes()) for stem in stems)
    assert plain == pytest.approx(drawn, abs=1 / DPI)
    assert noted[0] == pytest.approx(drawn[0], abs=1 / DPI)
    assert 0.3 < noted[1] - drawn[1] < 1.0


def test_a_note_is_below_the_figure_and_all_of_it_in_the_picture(pair: tuple[Canvas, Path, Path]) -> None:
    plain, noted = (np.asarray(Image.open(stem.with_suffix(".png")).convert("L")) for stem in pair[1:])
    np.testing.assert_array_equal(noted[: len(plain)], plain)
    below = noted[len(plain) :]
    rows, columns = (np.flatnonzero((below < 200).any(axis)) for axis in (1, 0))
    margin = round(0.02 * DPI)
    assert rows.min() > margin
    assert rows.max() < len(below) - margin
    assert columns.min() > margin
    assert columns.max() < below.shape[1] - margin
    lines = np.count_nonzero(np.diff(rows) > 1) + 1
    assert lines == -(-len(NOTE) // (17 * below.shape[1] // DPI))


def test_text_in_a_pdf_is_embedded_as_truetype(saved: Callable[[str], dict[str, bytes]]) -> None:
    pdf = saved("")["figure_1.pdf"]
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf


def test_tables_can_be_read_back(sample: Sample, saved: Callable[[str], dict[str, bytes]]) -> None:
    files = saved("")
    points, runs = (pd.read_csv(io.BytesIO(files[f"figure_1.{end}"])) for end in ("csv", "runs.csv"))
    assert len(points) == 2 * 2 * 3
    assert len(runs) == points["n_seeds"].sum() + points["n_diverged"].sum()
    assert set(" ".join(points["runs"]).split()) == set(runs["run"]) == set(sample.specs)
    means = runs.groupby(["method", "activation", "x"])["final_test_accuracy"].mean()  # as a reader would take them
    for _, point in points.iterrows():
        assert point["y_mean"] == pytest.approx(means[point["method"], point["activation"], point["x"]], rel=1e-12)


def test_runs_of_different_environments_are_noted(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(0.5, seed=0)
    sample.add(0.5, seed=1, code="other")
    assert mixed_origins(sample.collect(figure()).runs) == ""
    sample.add(0.5, seed=2, jax="0.10.3", device="gpu")
    assert mixed_origins(sample.collect(figure()).runs) == "mixes jax 0.10.2, 0.10.3; device cpu, gpu"


def test_the_versions_of_every_process_of_a_run_are_compared(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    same = {**PROVENANCE, "wall_seconds": 9.0}
    sample.add(0.5, seed=0, earlier=[same, same], from_step=30)
    runs = sample.collect(figure()).runs
    assert (runs["jax"].tolist(), mixed_origins(runs)) == (["0.10.2"], "")
    one, two = {**PROVENANCE, "jax": "0.10.1", "device": "gpu"}, {**PROVENANCE, "jax": "0.10.3"}
    sample.add(0.5, seed=1, earlier=[one, two, same], from_step=30)
    runs = sample.collect(figure()).runs
    assert runs["jax"].tolist() == ["0.10.2", "0.10.1 then 0.10.3 then 0.10.2"]
    assert runs["device"].tolist() == ["cpu", "gpu then cpu"]
    assert mixed_origins(runs) == "mixes jax 0.10.1, 0.10.2, 0.10.3; device cpu, gpu"


def test_adopted_runs_say_from_where_and_why_and_are_counted(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.add(0.5, seed=0)
    assert adopted_runs(sample.collect(figure()).runs) == ""
    steps = [{"from": "run-1", "reason": "a name"}, {"from": "run-2", "reason": "a type"}]
    sample.add(0.5, seed=1, adopted=steps)
    runs = sample.collect(figure()).runs
    assert runs["adopted"].tolist() == ["", "run-1: a name; run-2: a type"]
    assert adopted_runs(runs) == "1 of 2 results of other code, adopted"


def test_adopted_measurements_are_counted_too(tmp_path: Path) -> None:
    sample, spec = Sample(tmp_path), {**TRACES, "at": ["final"]}
    measured = {"final": {"tr_H": 1.0}}
    for seed in range(3):
        sample.add(0.5, seed=seed, measured=measured, measurement=spec, **({"adopted": STEPS} if seed == 2 else {}))
    drawn = figure(measurement="traces", y=("tr_H",))
    assert adopted_runs(sample.collect(drawn).runs) == "1 of 3 results of other code, adopted"
    job = next(iter(sample.jobs.values()))
    sample.write_measurement(
        job, measurement_content(job, sample.specs[str(job.run)], measured, adopted=STEPS, earlier=[OLDER])
    )
    runs = sample.collect(drawn).runs
    assert runs["measurement_adopted"].tolist() == ["before: a name", "", ""]
    assert runs["adopted"].tolist() == ["", "", "before: a name"]
    assert runs["measurement_jax"].tolist() == ["0.10.1 then 0.10.2", "0.10.2", "0.10.2"]
    assert mixed_origins(runs) == "mixes jax 0.10.1, 0.10.2"
    assert adopted_runs(runs) == "2 of 3 results of other code, adopted"
