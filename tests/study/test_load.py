from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from tests.study.refusals import BAD, FIGURE
from tests.study.samples import STUDY, study


@pytest.mark.parametrize("case", BAD)
def test_refuses_in_one_line_with_file_place_and_remedy(case: str, tmp_path: Path) -> None:
    *edits, message = BAD[case]
    with pytest.raises(UserError) as caught:
        study(tmp_path, *edits)
    assert str(caught.value).startswith(f"{tmp_path / 'study.yaml'}: {message}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("seeds", [500, 1250])
def test_as_many_runs_as_the_limit_are_no_mistake(tmp_path: Path, seeds: int) -> None:
    experiment = study(tmp_path, ("seeds: [0, 1]", f"seeds: {list(range(seeds))}")).experiments["main"]
    assert 2 * 2 * 2 * len(experiment.seeds) == 8 * seeds
    with pytest.raises(UserError, match="limit_runs: the experiments ask for 10008 runs, more than 10000; raise it if"):
        study(tmp_path, ("seeds: [0, 1]", f"seeds: {list(range(1251))}"))


def test_a_raised_limit_holds(tmp_path: Path) -> None:
    edits = ("name: tiny", "name: tiny\nlimit_runs: 10008"), ("seeds: [0, 1]", f"seeds: {list(range(1251))}")
    assert len(study(tmp_path, *edits).experiments["main"].seeds) == 1251


def test_the_limit_counts_what_options_expand_into(tmp_path: Path) -> None:
    edits = (
        ("[sam, psam]", "[sgd, {name: [sam, nme_trace], m: [4, 8]}]"),
        ("[gelu, relu]", "[relu, {name: beta_gelu, beta: [1, 2, 3]}]"),
        ("rho: [0, 0.1]", "rho: [0, 0.1]\n    sigma2: [0.1, 0.2, 0.3]"),
        (FIGURE, ""),
        ("figures:\n", ""),
    )
    count = (1 + 2 * (2 + 3)) * 4 * 2  # of SGD, and with two groups SAM and the NME trace; activations; seeds
    assert len(expand(study(tmp_path, *edits, ("name: tiny", f"name: tiny\nlimit_runs: {count}"))).cells) == count
    with pytest.raises(UserError, match=f"ask for {count} runs, more than {count - 1}"):
        study(tmp_path, *edits, ("name: tiny", f"name: tiny\nlimit_runs: {count - 1}"))


def test_a_step_is_a_whole_number_however_it_is_written(tmp_path: Path) -> None:
    edits = (
        ("experiments:\n", "measurements:\n  traces: {kind: traces, at: [5.0]}\nexperiments:\n"),
        ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [traces]"),
    )
    (at,) = study(tmp_path, *edits).measurements["traces"]["at"]
    assert (at, type(at)) == (5, int)


def test_fills_in_defaults_and_types(tmp_path: Path) -> None:
    setup = study(tmp_path, ("learning_rate: 0.1", "learning_rate: 1"), ("epochs: 1,", "epochs: 2.0,")).setups["mlp"]
    assert setup.title == "mlp"
    assert setup.spec == {
        "data": {"name": "mnist1d", "seed": 42, "samples": 200, "test": None},
        "validation": {"fraction": 0.1, "seed": 0},
        "subset": {"train": None, "test": None},
        "label_noise": {"fraction": 0.0, "seed": 0},
        "augmentation": {"name": "none"},
        "model": {"name": "mlp", "width": 4, "depth": 1, "batch_norm": False, "layer_norm": False},
        "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
        "optimizer": {
            "name": "sgd",
            "learning_rate": 1.0,
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 0.0,
            "decayed": "all",
            "decay_in_loss": False,
            "reference_batch_size": None,
            "warmup_epochs": 0.0,
            "warmup_from": 0.0,
            "clip_norm": None,
        },
        "training": {
            "epochs": 2,
            "batch_size": 16,
            "accumulate": 1,
            "batch_norm_group": None,
            "precision": "float32",
            "matmul_precision": "float32",
            "deterministic": False,
            "evaluate_every": 10,
            "evaluate_last": 5,
            "evaluate_train": None,
        },
    }
    assert type(setup.spec["optimizer"]["learning_rate"]) is float
    assert type(setup.spec["training"]["epochs"]) is int


def test_a_figure_need_not_map_seeds_or_axes_with_one_value(tmp_path: Path) -> None:
    figure = study(tmp_path, ("[gelu, relu]", "[gelu]"), ("columns: activation, ", "")).figures["curve"]
    assert (figure.x, figure.rows, figure.columns, figure.lines) == ("rho", None, None, "method")
    assert (figure.y, figure.report, figure.experiments) == (("test_accuracy",), "final", ("main",))


def test_an_option_with_several_values_is_an_axis(tmp_path: Path) -> None:
    edits = (
        ("[gelu, relu]", "[{name: beta_gelu, beta: [1, 10, 1e3], label: β-GELU}]"),
        ("[0, 0.1]", "[0.1]"),
        (FIGURE, "  curve: {experiments: [main], x: beta, lines: method}\n"),
    )
    entries = study(tmp_path, *edits).experiments["main"].activations
    assert [entry["beta"] for entry in entries] == [1.0, 10.0, 1000.0]
    assert {entry["label"] for entry in entries} == {"β-GELU"}


def test_a_study_without_figures_is_a_study(tmp_path: Path) -> None:
    assert study(tmp_path, ("figures:\n", ""), (FIGURE, "")).figures == {}


def test_the_default_study_is_valid() -> None:
    figures = load(Path("config/config.yaml")).figures
    assert list(figures) == [f"figure_{number}" for number in range(1, 13)]
    assert all(figure.title and figure.caption for figure in figures.values())


def test_reading_a_study_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    code = (
        "import sys; from pathlib import Path; from nmepkg.study.load import load; from nmepkg.runs.expand import expand;"
        "expand(load(Path(sys.argv[1]))); print({'jax', 'flax', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "study.yaml"], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "set()\n"
