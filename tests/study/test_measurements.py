"""Measurements, landscapes and their figures: what a study may ask for, and what it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nmepkg.errors import UserError
from nmepkg.registry import SECOND_DERIVATIVES
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.figure_identity import figure_digest
from nmepkg.runs.identity import measurement_targets
from nmepkg.study.load import load
from nmepkg.study.spec import Study

STUDY = """\
version: 1
name: tiny
setups:
  mlp:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
measurements:
  along: {kind: traces, at: [final, 5, initial], samples: 3}
  after: {kind: second_derivative}
landscapes:
  plane:
    model: {name: mlp, width: 3, depth: 2}
    inputs: 2
    activations: [relu, {name: beta_gelu, beta: [1, 5], label: smooth}]
    weights: [[0, 0], [1, 0]]
    range: [-2, 2]
experiments:
  main:
    setups: [mlp]
    methods: [hessian_trace, gn_trace]
    activations: [gelu]
    sigma2: [0, 0.001]
    seeds: [0, 1]
    measurements: [along, after]
figures:
  traces:
    experiments: [main]
    measurement: along
    x: step
    x_scale: linear
    y: [tr_H, tr_G]
    rows: method
    columns: sigma2
    lines: quantity
  after: {experiments: [main], measurement: after, x: sigma2, y: fraction_above, lines: method}
  plane: {kind: landscape, landscape: plane}
"""


def write(folder: Path, *edits: tuple[str, str]) -> Path:
    text = STUDY
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def study(folder: Path, *edits: tuple[str, str]) -> Study:
    return load(write(folder, *edits))


def test_every_run_has_its_measurements(tmp_path: Path) -> None:
    loaded = study(tmp_path)
    expansion = expand(loaded)
    assert len(expansion.runs) == 6  # of 8 cells, two at strength 0 share each run
    assert len(expansion.measurements) == 2 * 6
    for cell in expansion.cells:
        for name, identity in cell.measurements.items():
            job = expansion.measurements[identity]
            assert job.run == cell.run_id
            assert job.spec == {**loaded.measurements[name], "second_derivative": None}
            assert identity.startswith(f"{job.spec['kind']}-")
    assert len(expansion.measurements_of(loaded.figures["traces"])) == 6


def test_a_measurement_is_complete_and_in_the_order_of_training(tmp_path: Path) -> None:
    assert study(tmp_path).measurements["along"] == {
        "kind": "traces",
        "at": ["initial", 5, "final"],
        "split": "train",
        "examples": 1024,
        "batch_size": None,
        "batch_norm": "train",
        "seed": 0,
        "samples": 3,
        "probe": "rademacher",
    }


ABLATION = """\
  ablation:
    setups: [mlp]
    methods: [weight_noise, hessian_trace]
    activations: [gelu, {name: gelu, second_derivative: zero}, relu]
    sigma2: [0, 0.001]
    seeds: [0]
    measurements: [along, after]
figures:
"""


def test_what_replaces_a_second_derivative_is_measured_also_where_it_is_not_trained_with(tmp_path: Path) -> None:
    """Whatever method and strength, or one curve would show GELU's φ'' at one point and the substitute at the next."""
    loaded = study(tmp_path, ("figures:\n", ABLATION))
    expansion = expand(loaded)
    unhampered: dict[str, set[str]] = {}  # activation -> what is measured of it at strength 0
    for cell in expansion.cells:
        if cell.experiment != "ablation":
            continue
        substitute = {"name": "zero"} if "second_derivative" in cell.activation else None
        for name, identity in cell.measurements.items():
            job = expansion.measurements[identity]
            assert job.run == cell.run_id
            assert job.spec == {**loaded.measurements[name], "second_derivative": substitute}
            assert (SECOND_DERIVATIVES["zero"].target in measurement_targets(job.spec)) == (substitute is not None)
        if cell.strength == 0:
            unhampered.setdefault(str(cell.activation), set()).add(cell.measurements["after"])
    assert [len(found) for found in unhampered.values()] == [1, 1, 1], "of both methods the same"
    assert len(set.union(*unhampered.values())) == 3


def test_a_label_is_no_part_of_a_measurement(tmp_path: Path) -> None:
    before = set(expand(study(tmp_path, ("figures:\n", ABLATION))).measurements)
    labelled = ABLATION.replace("zero}", "zero, label: without}")
    assert set(expand(study(tmp_path, ("figures:\n", labelled))).measurements) == before


def test_measurements_ask_for_snapshots_which_are_no_part_of_a_run(tmp_path: Path) -> None:
    """A share of a training becomes the step nearest to it, in each setup its own, and equal measurements stay equal."""
    shorter = "  half:\n    data: {name: mnist1d, samples: 100}\n    model: {name: mlp, width: 4, depth: 1}\n"
    shorter += "    optimizer: {learning_rate: 0.1}\n    training: {epochs: 1, batch_size: 16}\nmeasurements:\n"
    text = STUDY.partition("figures:")[0].replace("measurements:\n  along", f"{shorter}  along")
    path = tmp_path / "study.yaml"

    def expanded(at: str) -> Expansion:
        path.write_text(text.replace("[mlp]", "[mlp, half]").replace("[final, 5, initial]", at), encoding="utf-8")
        return expand(load(path))

    before, shares, both = map(
        expanded, ("[final, 4, initial]", "[50%, final, initial]", "[initial, 50%, 3, 4, final]")
    )
    assert list(before.runs) == list(shares.runs) == list(both.runs)
    steps = {run: {before.runs[run].spec["data"]["samples"]: at} for run, at in shares.snapshots().items()}
    assert {tuple(found.items()) for found in steps.values()} == {((200, (4,)),), ((100, (2,)),)}
    assert set(both.snapshots().values()) == {(3, 4), (2, 3, 4)}
    assert set(before.measurements) & set(shares.measurements) >= {
        id for id, job in before.measurements.items() if before.runs[job.run].spec["data"]["samples"] == 200
    }
    assert shares.snapshots(without=shares.measurements) == {}


def test_what_a_measurement_depends_on(tmp_path: Path) -> None:
    """Its options and its run, and not its name, nor another measurement."""
    before = set(expand(study(tmp_path)).measurements)
    renamed = study(tmp_path, ("  after: {kind", "  later: {kind"), ("[along, after]", "[along, later]"),
                    ("measurement: after", "measurement: later"))  # fmt: skip
    assert set(expand(renamed).measurements) == before
    kept = set(expand(study(tmp_path, ("samples: 3", "samples: 4"))).measurements) & before
    assert {identity.split("-")[0] for identity in kept} == {"second_derivative"}
    assert not set(expand(study(tmp_path, ("0.1}", "0.2}"))).measurements) & before


def test_a_landscape_has_a_panel_an_activation(tmp_path: Path) -> None:
    loaded = study(tmp_path)
    panels = expand(loaded).landscapes["plane"]
    assert [job.spec["activation"] for _, job in panels] == [
        {"name": "relu", "second_derivative": None},
        {"name": "beta_gelu", "beta": 1.0, "second_derivative": None},
        {"name": "beta_gelu", "beta": 5.0, "second_derivative": None},
    ]
    assert [entry.get("label") for entry, _ in panels] == [None, "smooth", "smooth"]
    assert len({job.id for _, job in panels}) == 3
    assert all(job.spec["loss"] == {"name": "mse"} for _, job in panels)


def test_a_figure_changes_with_what_it_draws(tmp_path: Path) -> None:
    def digests(*edits: tuple[str, str]) -> dict[str, str]:
        loaded = study(tmp_path, *edits)
        return {name: figure_digest(loaded, expand(loaded), figure) for name, figure in loaded.figures.items()}

    before = digests()
    for edits, changed in (
        ([("samples: 3", "samples: 4")], {"traces"}),
        ([("range: [-2, 2]", "range: [-2, 3]")], {"plane"}),
        ([("[tr_H, tr_G]", "[tr_H, tr_N]")], {"traces"}),
    ):
        after = digests(*edits)
        assert {name for name in before if before[name] != after[name]} == changed


WRONG: list[tuple[tuple[str, str], str]] = [
    (
        ("kind: second_derivative", "kind: third_derivative"),
        "measurements.after.kind: unknown measurement 'third_derivative'; did you mean 'second_derivative'?",
    ),
    (
        ("kind: second_derivative", "at: [final]"),
        "measurements.after: the key 'kind' is missing; it names one of traces, ",
    ),
    (("samples: 3", "samples: 1"), "measurements.along.samples: 1 is below the smallest allowed value, 2"),
    (
        ("samples: 3", "probe: normal"),
        "measurements.along.probe: unknown value 'normal'; choose from gaussian, rademacher",
    ),
    (("samples: 3", "sample: 3"), "measurements.along: unknown key 'sample'; did you mean 'samples'?"),
    (
        ("at: [final, 5, initial]", "at: [final, 10]"),
        "experiments.main.measurements[0]: 'along' measures at step 10, beyond the 9 of setup 'mlp'; lower it",
    ),
    (
        ("kind: second_derivative", "kind: second_derivative, batch_norm: both"),
        "measurements.after.batch_norm: unknown value 'both'; choose from train, evaluate",
    ),
    (
        ("[along, after]", "[along, afters]"),
        "experiments.main.measurements[1]: unknown measurement 'afters'; did you mean 'after'?",
    ),
    (("[along, after]", "[after]"), "figures.traces.measurement: add 'along' to experiments.main.measurements"),
    (
        ("measurement: after", "measurement: before"),
        "figures.after.measurement: unknown measurement 'before'; choose from along, after",
    ),
    (("y: fraction_above", "y: fraction"), "figures.after.y: unknown value 'fraction'; did you mean 'fraction_zero'?"),
    (
        ("y: fraction_above", "y: test_accuracy"),
        "figures.after.y: unknown value 'test_accuracy'; choose from fraction_above, fraction_zero",
    ),
    (("    lines: quantity\n", ""), "figures.traces: it has 2 values of 'quantity'; give it to rows, columns or lines"),
    (
        ("measurement: after, x: sigma2", "measurement: along, x: sigma2"),
        "figures.after.y: unknown value 'fraction_above'; choose from tr_H, tr_G, tr_N",
    ),
    (
        ("measurement: after, x: sigma2, y: fraction_above", "measurement: along, x: sigma2, y: tr_H"),
        "figures.after: it has 3 values of 'at'; give it to rows, columns or lines",
    ),
    (
        ("measurement: after, x: sigma2, y: fraction_above", "x: step"),
        "figures.after.x: no axis 'step' in its experiments; ",
    ),
    (
        ("lines: method}", "lines: step}"),
        "figures.after: 'step' is an axis for x; 'at' tells panels or lines apart by it",
    ),
    (
        ("    lines: quantity\n", "    lines: quantity\n    differences: first_line\n"),
        "figures.traces.differences: a figure along training has none; leave it out",
    ),
    (
        ("landscape: plane}", "landscape: plain}"),
        "figures.plane.landscape: unknown landscape 'plain'; did you mean 'plane'?",
    ),
    (
        ("landscape: plane}", "landscape: plane, x: rho}"),
        "figures.plane: unknown key 'x'; choose from kind, title, caption, width, style, landscape",
    ),
    (("kind: landscape, landscape", "kind: map, landscape"), "figures.plane.kind: unknown value 'map'; "),
    (("[[0, 0], [1, 0]]", "[[0, 0], [2, 0]]"), "landscapes.plane"),
    (("[[0, 0], [1, 0]]", "[[0, 0], [0, 0]]"), "landscapes.plane.weights: [0, 0] is listed twice"),
    (("inputs: 2", "inputs: 2\n    layer: 3"), "landscapes.plane"),
    (("range: [-2, 2]", "range: [2, -2]"), "landscapes.plane"),
    (("[0, 0.001]", "[0, -0.001]"), "experiments.main.sigma2[1]: -0.001 is below the smallest allowed value, 0"),
    (
        ("[hessian_trace, gn_trace]", "[{name: hessian_trace, samples: 0}]"),
        "experiments.main.methods[0].samples: 0 is below the smallest allowed value, 1",
    ),
    (
        ("[hessian_trace, gn_trace]", "[{name: hessian_trace, probe: sobol}]"),
        "experiments.main.methods[0].probe: unknown value 'sobol'; choose from gaussian, rademacher",
    ),
    (
        ("width: 4, depth: 1}", "width: 4, depth: 1}\n    loss: mse"),
        "experiments.main.methods: 'gn_trace' is right for the loss 'cross_entropy' only, and setup 'mlp' has 'mse'",
    ),
    (
        ("batch_size: 16}", "batch_size: 16, snapshots: [5]}"),
        "setups.mlp.training: unknown key 'snapshots'; remove it: trainings keep their parameters at",
    ),
    (("[final, 5, initial]", "[final, 0]"), "measurements.along.at[1]: 0 is"),
    (("[final, 5, initial]", "[final, 0%]"), "measurements.along.at[1]: "),
    (("[final, 5, initial]", "[final, 100%]"), "measurements.along.at[1]: "),
]


@pytest.mark.parametrize(("edit", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_what_cannot_be_measured_or_drawn_is_refused(edit: tuple[str, str], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, edit)
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_exact_class_sums_cannot_have_batch_norm(tmp_path: Path) -> None:
    exact = ("[hessian_trace, gn_trace]", "[gn_trace_exact, hessian_trace]")
    assert expand(study(tmp_path, exact)).runs
    with pytest.raises(UserError, match="'gn_trace_exact' takes gradients of single examples, which BatchNorm mixes"):
        study(tmp_path, exact, ("width: 4, depth: 1}", "width: 4, depth: 1, batch_norm: true}"))


def test_one_example_alone_is_not_normalised(tmp_path: Path) -> None:
    normalised = ("width: 4, depth: 1}", "width: 4, depth: 1, batch_norm: true}")
    one = ("kind: second_derivative", "kind: second_derivative, batch_size: 1")
    assert study(tmp_path, one)
    assert study(tmp_path, normalised, (one[0], f"{one[1]}, batch_norm: evaluate"))
    with pytest.raises(UserError, match=r"'after' takes batches of 1 of setup 'mlp': one example leaves BatchNorm"):
        study(tmp_path, normalised, one)


def test_examples_have_to_fill_a_batch(tmp_path: Path) -> None:
    few = ("kind: second_derivative", "kind: second_derivative, examples: 8")
    with pytest.raises(UserError, match="'after' takes 8 examples of train, which fill no batch of 16 of setup 'mlp'"):
        study(tmp_path, few)
    assert study(tmp_path, ("kind: second_derivative", "kind: second_derivative, examples: 8, batch_size: 8"))


def test_validation_examples_to_measure_on_must_exist(tmp_path: Path) -> None:
    edits: list[Any] = [("kind: second_derivative", "kind: second_derivative, split: validation")]
    assert study(tmp_path, *edits)
    with pytest.raises(
        UserError, match=r"'after' needs validation examples, and setups\.mlp\.validation\.fraction leaves none"
    ):
        study(tmp_path, *edits, ("    optimizer:", "    validation: {fraction: 0}\n    optimizer:"))
