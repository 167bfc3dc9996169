"""Claims as a study states them: what they compare is found, and what they cannot compare is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.errors import UserError
from nmepkg.runs.compared import compared_measurements, compared_runs, study_comparisons
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.study.spec import Arm, Comparison, Line, Study

STUDY = """\
version: 1
name: claimed
setups:
  mlp: &mlp
    data: {name: mnist1d, samples: 500}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
  other: {<<: *mlp, validation: {fraction: 0}}
experiments:
  main:
    setups: [mlp, other]
    methods: [sam, psam]
    activations: [gelu, {name: gelu, second_derivative: zero}]
    rho: [0, 0.1, 0.2]
    seeds: [0, 1, 2]
    measurements: [traces]
  traced:
    setups: [mlp]
    methods: [psam]
    activations: [gelu, {name: gelu, second_derivative: zero}]
    rho: [0.1]
    seeds: [0, 1]
    measurements: [traces, ahead]
  few: {setups: [mlp], methods: [psam], activations: [relu], rho: [0.1], seeds: [0]}
  more: {setups: [mlp], methods: [psam], activations: [gelu], rho: [0.1, 0.4], seeds: [2, 3]}
measurements:
  traces: {kind: traces, at: [initial, 9, 18, final], examples: 64}
  ahead: {kind: prediction, radii: [0.1, 1], examples: 64}
landscapes:
  plane:
    model: {name: mlp, width: 4, depth: 2}
    inputs: 3
    activations: [relu, {name: beta_gelu, beta: 10}]
    weights: [[0, 0], [2, 1]]
    range: [-3, 3]
figures:
  curve: {experiments: [main], x: rho, rows: setup, columns: activation, lines: method}
  trace:
    experiments: [traced]
    measurement: traces
    x: step
    x_scale: linear
    y: [tr_H, tr_G]
    columns: activation
    lines: quantity
  ahead: {experiments: [traced], measurement: ahead, x: radius, y: gap_H, columns: activation}
  plane: {kind: landscape, landscape: plane}
"""
A, B = "a: {method: psam, activation: gelu, rho: 0.1}", "b: {method: sam, activation: gelu, rho: 0.1}"
REST = "expect: less, smallest: 1"


def claimed(folder: Path, claim: str, text: str = STUDY) -> Study:
    path = folder / "study.yaml"
    path.write_text(f"{text}claims:\n  one: {{{claim}}}\n", encoding="utf-8")
    return load(path)


def compared(folder: Path, claim: str) -> dict[str, Comparison]:
    study = claimed(folder, claim)
    return {one.setup: one for one in study_comparisons(study, expand(study))}


def test_arms_at_one_strength(tmp_path: Path) -> None:
    """Of the seeds that both have, in every setup of the figure's that has both; runs of other experiments count too."""
    found = compared(tmp_path, f"figure: curve, says: x, {A}, {B}, {REST}")
    assert {setup: one.seeds for setup, one in found.items()} == {"mlp": (0, 1, 2), "other": (0, 1, 2)}
    claim = found["mlp"].claim
    ((own, choosing),) = [found["mlp"].runs[claim.a]]
    assert list(own) == [0.1]
    assert choosing == {}
    assert {cell.method["name"] for cell in own[0.1].values()} == {"psam"}
    assert sorted(own[0.1]) == [0, 1, 2, 3]
    assert len(compared_runs(found.values())) == 2 * 2 * 3


def test_both_is_what_arms_share_and_each_overrides(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        f"figure: curve, says: x, both: {{method: psam, activation: gelu, rho: 0.1}}, a: {{rho: 0.2}}, b: {{}}, {REST}",
    )
    claim = found["mlp"].claim
    assert (claim.a.strength, claim.b.strength) == (0.2, 0.1)  # type: ignore[union-attr]


def test_sgd_is_any_method_at_strength_0(tmp_path: Path) -> None:
    found = compared(
        tmp_path, f"figure: curve, says: x, setups: [mlp], {A}, b: {{method: sgd, activation: gelu}}, {REST}"
    )
    own, _ = found["mlp"].runs[found["mlp"].claim.b]  # type: ignore[index]
    assert sorted(own[0.0]) == [0, 1, 2]
    assert {cell.strength for cell in own[0.0].values()} == {0.0}


def test_the_best_strength_is_one_of_the_line_s_own_above_0(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        "figure: curve, says: x, setups: [mlp], both: {activation: gelu, rho: best}, a: {method: psam}, b: {method: sam}, "
        + REST,
    )
    claim, runs = found["mlp"].claim, found["mlp"].runs
    own, choosing = runs[claim.a]
    assert list(own) == list(choosing) == [0.1, 0.2]  # 0.4 is of no experiment of the figure
    assert list(runs[claim.b][0]) == [0.1, 0.2]  # type: ignore[index]
    assert found["mlp"].seeds == (0, 1, 2)


def test_of_what_is_measured_that_of_the_arm_s_second_derivative(tmp_path: Path) -> None:
    """Cells that share a run are measured apart."""
    both = "both: {method: psam, rho: 0.1, y: tr_H}"
    found = compared(
        tmp_path,
        f"figure: trace, says: x, {both}, a: {{activation: gelu, at: final}}, "
        "b: {activation: {name: gelu, second_derivative: zero}, at: 50%, minus: {at: initial}}, " + REST,
    )
    study = claimed(tmp_path, f"figure: trace, says: x, {both}, a: {{activation: gelu}}, b: 0, {REST}")
    claim = found["mlp"].claim
    ids = [
        {cell.measurements["traces"] for cell in found["mlp"].runs[arm][0][0.1].values()}
        for arm in (claim.a, claim.b)  # type: ignore[index]
    ]
    assert ids[0].isdisjoint(ids[1])
    assert isinstance(claim.b, Arm)
    assert claim.b.minus is not None
    assert (claim.a.at, claim.b.at, claim.b.minus.at) == ("final", "50%", "initial")
    measured = compared_measurements(study, study_comparisons(study, expand(study)))
    assert len(measured) == 2 + 1  # a seed of `main` is one of `traced`


@pytest.mark.parametrize(
    ("claim", "problem"),
    [
        (f"figure: curv, says: x, {A}, {B}, {REST}", "claims.one.figure: unknown figure 'curv'; did you mean 'curve'?"),
        (f"figure: curve, says: x, {A}, {B}, expect: les, smallest: 1", "claims.one.expect: unknown value 'les'"),
        (f"figure: curve, says: x, {A}, {B}, expect: less", "claims.one: the key 'smallest' is missing"),
        (f"figure: curve, says: x, {A}, {B}, expect: less, smallest: 0", "claims.one.smallest: 0 is not above 0"),
        (f"figure: curve, says: x, {A}, {B}, {REST}, scale: log", "claims.one.smallest: 1 is no factor above 1"),
        (f"figure: curve, says: x, {A}, {B}, {REST}, setups: [mpl]", "claims.one.setups[0]: unknown setup 'mpl'"),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, rho: 0.1}}, {REST}",
            "claims.one.b: the key 'activation' is missing",
        ),
        (f"figure: curve, says: x, {A}, b: {{activation: gelu}}, {REST}", "claims.one.b: the key 'method' is missing"),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu}}, {REST}",
            "claims.one.b: the key 'rho' is missing",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: san, activation: gelu}}, {REST}",
            "claims.one.b.method: unknown method 'san'",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{mehod: sam}}, {REST}",
            "claims.one.b: unknown key 'mehod'; did you mean 'method'?",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: 0.3}}, {REST}",
            "claims.one: no run of 'sam' with 'gelu' in setup 'mlp' at rho = 0.3, only at 0.1, 0.2; name one of these",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: usam, activation: gelu, rho: 0.1}}, {REST}",
            "claims.one: no run of 'usam' with 'gelu' in setup 'mlp' at rho = 0.1; give an experiment",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: psam, activation: relu, rho: 0.1}}, {REST}",
            "claims.one: setup 'mlp' has 1 seed of all that is compared; give its experiments two at least",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: bets}}, {REST}",
            "claims.one.b.rho: unknown value 'bets'; write a number, best, or {best_of: {method: …}}",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: {{best: 1}}}}, {REST}",
            "claims.one.b.rho: {'best': 1} is not understood",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: {{best_of: {{method: sgd}}}}}}, {REST}",
            "claims.one.b.rho.best_of: 'sgd' has no rho; name a method that takes it",
        ),
        (
            f"figure: curve, says: x, setups: [other], {A}, b: {{method: sam, activation: gelu, rho: best}}, {REST}",
            "claims.one: it needs validation examples, and setups.other.validation.fraction leaves none; raise it",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: 0.1, y: acc}}, {REST}",
            "claims.one.b.y: unknown",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: 0.1, at: final}}, {REST}",
            "claims.one.b.at: 'curve'",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: 0.1, within: 1}}, {REST}",
            "claims.one.b.within: is of",
        ),
        (f"figure: trace, says: x, {A}, b: 0, {REST}", "claims.one.a: the key 'y' is missing; choose from "),
        (
            "figure: trace, says: x, a: {method: psam, activation: gelu, rho: 0.1, y: tr_H, at: 10}, b: 0, " + REST,
            "claims.one: measurements.traces measures nothing at 10; choose from initial, 9, 18, final",
        ),
        (
            "figure: trace, says: x, a: {method: psam, activation: gelu, rho: 0.1, y: tr_H, at: 95%, minus: {at: final}, "
            "per_step: true}, b: 0, " + REST,
            "claims.one: measurements.traces has one point for both ends of a slope, final; name others",
        ),
        (
            "figure: trace, says: x, a: {method: psam, activation: gelu, rho: 0.1, y: tr_H, per_step: true}, b: 0, "
            + REST,
            "claims.one.a.per_step: is of a difference; say by 'minus' what is subtracted",
        ),
        (f"figure: ahead, says: x, {A}, b: 0, {REST}", "claims.one.a: the key 'radius' is missing; choose from 0.1, 1"),
        (
            "figure: ahead, says: x, a: {method: psam, activation: gelu, rho: 0.1, radius: 2}, b: 0, " + REST,
            "claims.one.a.radius: measurements.ahead has no such one; choose from 0.1, 1",
        ),
        (
            "figure: trace, says: x, a: {method: psam, activation: gelu, rho: 0.1, y: tr_H, radius: 1}, b: 0, " + REST,
            "claims.one.a.radius: what 'trace' draws has no radii; remove it",
        ),
        (
            f"figure: curve, says: x, {A}, b: {{method: sam, activation: gelu, rho: 0.1, radius: 1}}, {REST}",
            "claims.one.b.radius: what 'curve' draws has no radii; remove it",
        ),
        (
            "figure: trace, says: x, a: {method: psam, activation: gelu, rho: 0.1, y: tr_H, at: 33%x}, b: 0, " + REST,
            "claims.one.a.at: unknown value '33%x'; write initial, final, a step, or a share as 40%",
        ),
        (
            "figure: trace, says: x, a: {method: psam, activation: gelu, rho: 0.1, y: tr_G}, b: 0, scale: log, expect: less, "
            "smallest: 2",
            "claims.one.b: 0 has no logarithm; compare with a number above 0",
        ),
        (
            "figure: plane, says: x, a: {activation: relu, y: share_near_boundaries, within: 2}, b: 0, " + REST,
            "claims.one.a: 'share_near",
        ),
        (
            "figure: plane, says: x, a: {activation: gelu, y: largest_norm_N_layer}, b: 0, " + REST,
            "claims.one: landscapes.plane has no such",
        ),
        (
            "figure: plane, says: x, a: {method: sam, activation: relu, y: largest_norm_N_layer}, b: 0, " + REST,
            "claims.one.a.method: a",
        ),
    ],
)
def test_refused(claim: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        claimed(tmp_path, claim)
    assert str(refusal.value).startswith(f"{tmp_path / 'study.yaml'}: {problem}")


def test_a_study_that_loses_its_runs_loses_its_claims(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    setups = STUDY.replace("    setups: [mlp, other]", "    setups: [other, mlp]")
    path.write_text(
        f"{setups}claims:\n  one: {{figure: curve, says: x, setups: [mlp], {A}, {B}, {REST}}}\n"
        f"  two: {{figure: curve, says: x, {A}, {B}, {REST}}}\n"
        "  three: {figure: plane, says: x, a: {activation: relu, y: largest_norm_N_layer}, b: 0, expect: equal, smallest: 1}\n",
        encoding="utf-8",
    )
    assert list(load(path).claims) == ["one", "two", "three"]
    assert list(load(path, {"select": ["other"]}).claims) == ["two", "three"]
    assert list(load(path, {"smoke": True}).claims) == ["three"]  # one seed


def test_a_strength_chosen_by_another_line(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        "figure: curve, says: x, setups: [mlp], both: {activation: gelu, rho: {best_of: {method: sam}}}, a: {method: psam}, "
        "b: {method: sgd}, " + REST,
    )
    claim = found["mlp"].claim
    assert isinstance(claim.a.strength, Line)
    assert claim.a.strength.method["name"] == "sam"
    assert claim.a.strength.activation["name"] == "gelu"
    own, choosing = found["mlp"].runs[claim.a]
    assert list(own) == list(choosing) == [0.1, 0.2]
    assert {cell.method["name"] for cell in choosing[0.1].values()} == {"sam"}


@pytest.mark.parametrize("file", ["config.yaml", "fashion_mnist.yaml", "one_gpu_day.yaml", "paper.yaml"])
def test_the_paper_s_claims_are_the_same_text_in_every_study(file: str) -> None:
    root = Path(__file__).resolve().parents[2] / "config"
    text = (root / file).read_text(encoding="utf-8").partition("\nclaims:")[2]
    assert text
    assert text == (root / "config.yaml").read_text(encoding="utf-8").partition("\nclaims:")[2]
    study = load(root / file)
    assert len(study.claims) >= 15
    screens = {"screen_rho", "screen_sigma2"}  # of seeds that judge nothing
    assert {claim.figure for claim in study.claims.values()} == study.figures.keys() - screens
