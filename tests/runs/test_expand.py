from __future__ import annotations

import json
import re
from pathlib import Path

from nmepkg.records import digest
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.figure_identity import figure_digest, figure_identity
from nmepkg.runs.identity import code_hash, data_targets, figure_targets
from nmepkg.study.load import load
from nmepkg.study.spec import Cell
from tests.study.samples import study

SECOND = ("[gelu, relu]", "[gelu, {name: gelu, second_derivative: zero}]")


def cell(expansion: Expansion, **wanted: object) -> Cell:
    """The one cell with these attributes; a name stands for a method or activation without options."""
    found = [
        c
        for c in expansion.cells
        if all(getattr(c, k) == ({"name": v} if k in ("method", "activation") else v) for k, v in wanted.items())
    ]
    assert len(found) == 1, found
    return found[0]


def test_every_point_of_the_grid_is_a_cell_in_the_order_of_the_study(tmp_path: Path) -> None:
    cells = expand(study(tmp_path)).cells
    points = [(c.method["name"], c.activation["name"], c.strength, c.seed) for c in cells]
    assert points == [
        (m, a, r, s) for m in ("sam", "psam") for a in ("gelu", "relu") for r in (0.0, 0.1) for s in (0, 1)
    ]
    assert {(c.experiment, c.setup) for c in cells} == {("main", "mlp")}


def test_strength_0_is_sgd_whatever_the_method(tmp_path: Path) -> None:
    expansion = expand(study(tmp_path))
    runs = {cell(expansion, method=m, activation="gelu", strength=0.0, seed=0).run_id for m in ("sam", "psam")}
    assert len(runs) == 1
    assert expansion.runs[runs.pop()].spec["method"] == {"name": "sgd", "strength": 0.0}
    assert len(expansion.runs) == 12  # of 16 cells, the 8 at strength 0 share 4 runs


def test_second_derivatives_count_only_where_a_method_takes_them(tmp_path: Path) -> None:
    expansion = expand(study(tmp_path, SECOND))

    def run_ids(method: str, strength: float) -> int:
        cells = [c for c in expansion.cells if (c.method["name"], c.strength, c.seed) == (method, strength, 0)]
        assert len(cells) == 2
        return len({c.run_id for c in cells})

    assert run_ids("psam", 0.1) == 2
    assert run_ids("sam", 0.1) == 1
    assert run_ids("psam", 0.0) == 1


def test_equal_runs_of_two_experiments_are_one(tmp_path: Path) -> None:
    again = "  again: {setups: [mlp], methods: [{name: psam, m: null}], activations: [relu], rho: [1e-1], seeds: [1]}\n"
    expansion = expand(study(tmp_path, ("figures:\n", f"{again}figures:\n")))
    assert len(expansion.runs) == 12
    assert cell(expansion, experiment="again", strength=0.1).run_id in {
        c.run_id for c in expansion.cells if c.experiment == "main"
    }


def test_names_titles_labels_and_order_are_not_part_of_a_run(tmp_path: Path) -> None:
    before = set(expand(study(tmp_path)).runs)
    edits = (
        ("name: tiny", "name: other"),
        ("  mlp:\n", "  renamed:\n    title: Renamed\n"),
        ("setups: [mlp]", "setups: [renamed]"),
        ("[sam, psam]", "[{name: psam, label: penalty}, sam]"),
        ("seeds: [0, 1]", "seeds: [1, 0]"),
        ("{name: mnist1d, samples: 200}", "{samples: 200, seed: 42, name: mnist1d}"),
    )
    assert set(expand(study(tmp_path, *edits)).runs) == before


def test_every_part_of_a_spec_is_part_of_a_run(tmp_path: Path) -> None:
    before = set(expand(study(tmp_path)).runs)
    for edit in [
        ("samples: 200", "samples: 210"),
        ("width: 4", "width: 5"),
        ("learning_rate: 0.1", "learning_rate: 0.2"),
        ("learning_rate: 0.1", "learning_rate: 0.1, weight_decay: 1e-3"),
        ("epochs: 1", "epochs: 2"),
        ("    training:", "    loss: mse\n    training:"),
        ("    training:", "    validation: {seed: 1}\n    training:"),
    ]:
        assert before.isdisjoint(expand(study(tmp_path, edit)).runs), edit


def test_more_seeds_keep_the_runs_there_were(tmp_path: Path) -> None:
    before = set(expand(study(tmp_path)).runs)
    assert before < set(expand(study(tmp_path, ("seeds: [0, 1]", "seeds: [0, 1, 2]"))).runs)


def test_a_list_among_the_options_is_a_grid(tmp_path: Path) -> None:
    edits = (
        ("[gelu, relu]", "[{name: beta_gelu, beta: [1, 10]}]"),
        ("[sam, psam]", "[{name: psam, m: [4, null]}]"),
        ("columns: activation, lines: method", "rows: beta, columns: m"),
    )
    expansion = expand(study(tmp_path, *edits))
    assert {(c.axes["beta"], c.axes["m"]) for c in expansion.cells} == {(1.0, 4), (1.0, None), (10.0, 4), (10.0, None)}


def test_a_spec_is_complete_and_json(tmp_path: Path) -> None:
    expansion = expand(study(tmp_path, SECOND))
    run = next(run for run in expansion.runs.values() if run.spec["activation"]["second_derivative"] is not None)
    assert json.loads(json.dumps(run.spec)) == run.spec
    assert set(run.spec) == {
        "data", "validation", "subset", "label_noise", "augmentation", "model", "activation", "loss", "method", "optimizer",
        "training", "seed",
    }  # fmt: skip
    assert run.spec["method"] == {"name": "psam", "strength": 0.1, "m": None}
    assert run.spec["activation"] == {"name": "gelu", "second_derivative": {"name": "zero"}}
    dataset = expansion.datasets[run.data_id]
    assert (dataset.id, dataset.spec) == (run.data_id, run.spec["data"])
    assert dataset.code == code_hash(data_targets(run.spec["data"]))


def test_ids_are_a_readable_label_and_a_hash(tmp_path: Path) -> None:
    expansion = expand(study(tmp_path, ("[gelu, relu]", "[{name: beta_gelu, beta: 1e-5}]")))
    for run in expansion.runs.values():
        assert re.fullmatch(r"mnist1d-mlp-(sgd|p?sam-0\.1)-beta_gelu1e-05-s[01]-[0-9a-f]{12}", run.id)


def test_the_runs_of_a_figure(tmp_path: Path) -> None:
    checked = study(tmp_path)
    expansion = expand(checked)
    assert set(expansion.runs_of(checked.figures["curve"])) == set(expansion.runs)


def test_a_figures_digest_follows_what_it_shows(tmp_path: Path) -> None:
    def shown(*edits: tuple[str, str]) -> str:
        checked = study(tmp_path, *edits)
        return figure_digest(checked, expand(checked), checked.figures["curve"])

    assert shown() == shown()
    assert shown() == shown(
        ("figures:\n", "figures:\n  other: {experiments: [main], x: rho, rows: method, lines: activation}\n")
    )
    for edit in [
        ("x: rho,", "x: rho, title: New,"),
        ("x: rho,", "x: rho, report: best_validation,"),
        ("x: rho,", "x: rho, y: train_loss,"),
        ("[gelu, relu]", "[gelu, {name: relu, label: Rectifier}]"),
        ("  mlp:\n", "  mlp:\n    title: Perceptron\n"),
        ("seeds: [0, 1]", "seeds: [0, 1, 2]"),
        ("epochs: 1", "epochs: 2"),
    ]:
        assert shown() != shown(edit), edit


def test_the_identity_of_a_figure_is_its_digest_and_what_that_is_of(tmp_path: Path) -> None:
    checked = study(tmp_path)
    expansion, figure = expand(checked), checked.figures["curve"]
    identity = figure_identity(checked, expansion, figure)
    assert identity["digest"] == digest(identity["parts"]) == figure_digest(checked, expansion, figure)
    assert identity["parts"]["code"] == code_hash(figure_targets("curve"))
    assert identity["parts"]["titles"] == {"mlp": "mlp"}
    assert {"nmepkg.analysis.render", "nmepkg.analysis.figures.curve"} <= set(identity["modules"])
    assert "nmepkg.training.loop" not in identity["modules"]
    assert json.loads(json.dumps(identity)) == identity


def test_the_page_on_scale_counts_the_runs_of_each_study() -> None:
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs" / "scale.md").read_text("utf-8")
    counts = dict(re.findall(r"^\| \[(config/\w+\.yaml)\].*? \| (\d+) \|", page, flags=re.MULTILINE))
    assert {name: len(expand(load(root / name)).runs) for name in counts} == {n: int(c) for n, c in counts.items()}
    assert set(counts) == {f"config/{path.name}" for path in (root / "config").glob("*.yaml")}
