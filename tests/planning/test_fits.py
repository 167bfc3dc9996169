"""Memory and hours of a study's programs: what is asked, and what is made of the answers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmepkg.__main__ import main
from nmepkg.planning import ahead, fits
from nmepkg.planning.cards import CARDS
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from tests.training.runs import make_spec, method

MLP = {"name": "mlp", "width": 64, "depth": 2, "batch_norm": False, "layer_norm": False}
DATA = {"name": "generated", "shape": [8, 8, 1], "classes": 10, "train": 100, "test": 20, "seed": 0}


def spec(name: str = "psam", **training: Any) -> dict[str, Any]:
    made = make_spec(method=method(name, 0.1), validation={"fraction": 0.1, "seed": 0}, training=training)
    return {**made, "data": DATA, "model": MLP, "augmentation": {"name": "none"}}


@pytest.fixture(scope="module")
def shapes() -> list[fits.Shape]:
    study = load(Path("config/paper.yaml"))
    return fits.shapes(study, expand(study))


def test_each_run_of_a_study_is_of_one_shape(shapes: list[fits.Shape]) -> None:
    study = load(Path("config/paper.yaml"))
    assert sorted(run for shape in shapes for run in shape.runs) == sorted(expand(study).runs)
    kinds = [(shape.setup, fits.label(shape.spec["method"])) for shape in shapes]
    assert len(set(kinds)) == len(kinds)  # snapshots, strengths, activations and seeds make no other program
    assert {"hessian_trace", "hessian_trace, samples 5", "psam"} <= {name for _, name in kinds}
    assert {shape.gpus for shape in shapes if shape.setup == "imagenet"} == {8}


def test_what_fits_and_how_long_it_takes(shapes: list[fits.Shape]) -> None:
    """Each program is asked for once; hours are operations over a share of the rate, by hand."""
    (psam,) = (shape for shape in shapes if (shape.setup, shape.spec["method"]["name"]) == ("cifar10", "psam"))
    asked = []

    def answer(request: fits.Request) -> dict[str, Any]:
        asked.append((request["what"], request["card"]))
        if request["card"] is None:
            return {"flops": 1e13 if request["what"] == "step" else 1e9}
        return {"needed": 30 * 10**9 if request["what"] == "step" else 10**9}

    small, large = fits.rows([psam, psam], ["4090", "a100-40"], 0.5, answer=answer), CARDS["a100-40"]
    first, second, *_ = small
    assert len(asked) == 8 == len(set(asked))
    assert (first["fits"], second["fits"]) == (False, True)
    assert (second["step_gb"], second["evaluation_gb"], second["measurement_gb"]) == (30, 1, 1)
    # 200 epochs of 49,000 // 128 steps; 26 evaluations of 10,000 + 1,000 + 10,000 examples, at 0, 10, …, 200 and the last five
    seconds = (200 * 382 * 1e13 + 25 * 21_000 * 1e9) / (0.5 * large.rates[second["products"]])
    np.testing.assert_allclose(second["device_hours"], seconds / 3600, rtol=1e-12)


def test_what_products_are_computed_in() -> None:
    asked = [("float32", "float32"), ("float32", "tensorfloat32"), ("float32", "bfloat16"), ("bfloat16", "float32")]
    found = [fits.products({"precision": model, "matmul_precision": of}) for model, of in asked]
    assert found == ["float32", "tensorfloat32", "tensorfloat32", "bfloat16"]


def test_what_cannot_be_compiled_is_said(shapes: list[fits.Shape]) -> None:
    (row,) = fits.rows(shapes[:1], ["h100"], answer=lambda request: {"flops": 1e12}, missing="no plugin")
    assert (row["fits"], row["step_gb"], row["note"]) == (None, None, "no plugin")
    assert row["device_hours"] > 0
    (row,) = fits.rows(shapes[:1], ["h100"], answer=lambda request: {"problem": f"{request['what']} failed"})
    assert (row["fits"], row["device_hours"]) == (None, None)
    assert "step failed" in row["note"]


def test_operations_of_a_dense_network() -> None:
    """Of 32 more examples, by hand: a layer has three products, 2 a b operations each, and the first has two."""
    layers = [(64, 64), (64, 64), (64, 10)]
    few, many = (ahead.lowered(spec("sgd", batch_size=b), "step").cost_analysis()["flops"] for b in (32, 64))
    expected = 32 * (sum(3 * 2 * a * b for a, b in layers) - 2 * 64 * 64)
    assert expected < many - few < 1.1 * expected  # and activations


def test_a_part_of_a_batch_counts_for_its_whole() -> None:
    whole, parts = (fits.request(spec(accumulate=k, batch_size=8), "step", None) for k in (1, 2))
    assert whole == parts
    assert fits.request(spec(accumulate=2, batch_size=8), "step", "h100")["spec"]["training"]["accumulate"] == 2


def test_evaluation_and_measurement_are_lowered() -> None:
    for what in ("evaluation", "measurement"):
        assert ahead.lowered(spec(batch_size=8), what).cost_analysis()["flops"] > 1e4


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"flops": 1e15, "needed": 90 * 10**9}
    monkeypatch.setattr("nmepkg.planning.fits_command.found_by_process", lambda request, **study: answer)
    monkeypatch.setattr("nmepkg.planning.fits_command.missing_plugin", lambda: None)
    arguments = [
        "fits",
        "--study",
        "config/known_number.yaml",
        "--device",
        "h100",
        "h200",
        "--csv",
        str(tmp_path / "a.csv"),
    ]
    assert main(arguments) == 0
    said, rows = capsys.readouterr().out, list(csv.DictReader((tmp_path / "a.csv").open()))
    assert "h200" in said
    assert [(row["device"], row["fits"]) for row in rows[:2]] == [("h100", "False"), ("h200", "True")]
    assert main([*arguments, "--utilisation", "2"]) == 2
    assert "--utilisation 2 is no share" in capsys.readouterr().err


@pytest.mark.usefixtures("no_extension_stays")
def test_a_process_of_its_own_counts_operations_with_the_study_s_extensions() -> None:
    """Of a method that an extension brings, as `python -m nmepkg new` makes one."""
    study = load(Path("nmepkg/template/study.yaml"))
    run = next(run for run in expand(study).runs.values() if run.spec["method"]["name"] == "tilted")
    asked = fits.request(run.spec, "step", None)
    assert fits.found_by_process(asked, study.extensions, study.path.parent)["flops"] > 0
    assert "problem" in fits.found_by_process(asked)
