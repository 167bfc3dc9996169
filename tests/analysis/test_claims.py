"""Claims judged from synthetic results of known effects: numbers by hand, verdicts, what diverged runs count as, looks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from nmepkg.analysis.claims.judge import judge, table, verdicts
from nmepkg.analysis.claims.landscape_numbers import share_near_boundaries
from nmepkg.analysis.claims.numbers import chosen
from nmepkg.analysis.claims.write import look_at, write
from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.figure_identity import claims_identity
from nmepkg.runs.looks import declare
from nmepkg.study.load import load
from nmepkg.study.spec import Cell, Study
from tests.analysis import planes
from tests.analysis.samples import Sample, measurement_content, result
from tests.study.test_claims import STUDY

ROOT = Path(__file__).resolve().parents[2]
Spec = Mapping[str, Any]
Accuracy = Callable[[Spec], float | None]  # of a run's spec
BOTH = "both: {activation: gelu, rho: 0.1}, a: {method: psam}, b: {method: sam}"


def noise(spec: Spec) -> float:
    """Something of a seed that methods share, and a little that they do not."""
    shared = np.random.default_rng(spec["seed"]).normal(0, 0.1)
    own = np.random.default_rng([spec["seed"], len(spec["method"]["name"]), int(1000 * spec["method"]["strength"])])
    return float(0.5 + shared + own.normal(0, 0.001))


def world(folder: Path, claim: str, accuracy: Accuracy, text: str = STUDY) -> tuple[Study, Expansion, Sample]:
    """A study with one claim, and the results of all its runs."""
    path = folder / "study.yaml"
    path.write_text(f"{text}claims:\n  one: {{figure: curve, says: x, setups: [mlp], {claim}}}\n", encoding="utf-8")
    study = replace(load(path), store=str(folder / "results"))
    expansion, sample = expand(study), Sample(folder / "results")
    for run in expansion.runs.values():
        sample.write(run.id, result(run.id, run.spec, accuracy(run.spec)))
    return study, expansion, sample


def judged(study: Study, expansion: Expansion) -> pd.Series:
    """The one row of the table."""
    found = judge(study, expansion, lambda comparison: 1, lambda comparison: False)
    rows = table(study, found)
    assert len(rows) == 1
    assert rows["verdict"].tolist() == verdicts(found)
    return rows.iloc[0]


def test_an_effect_is_paired_and_in_points(tmp_path: Path) -> None:
    study, expansion, _ = world(
        tmp_path, f"{BOTH}, expect: less, smallest: 1", lambda s: noise(s) - 0.05 * (s["method"]["name"] == "psam")
    )
    row = judged(study, expansion)
    values = {
        name: [100 * (noise(cell_spec(name, seed)) - 0.05 * (name == "psam")) for seed in (0, 1, 2)]
        for name in ("psam", "sam")
    }
    expected = stats.ttest_rel(values["psam"], values["sam"])
    low, high = expected.confidence_interval(1 - 0.05 * 0.75)
    assert (row["effect"], row["ci_low"], row["ci_high"]) == pytest.approx(
        (np.mean(values["psam"]) - np.mean(values["sam"]), low, high)
    )
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["n_seeds"], row["unit"], row["verdict"]) == (3, "points", "supported")
    assert row["p_sign"] == pytest.approx(0.25)  # 2 of the 8 ways
    assert (row["a"], row["b"]) == ("PSAM, GELU, ρ = 0.1", "SAM, GELU, ρ = 0.1")


def cell_spec(method: str, seed: int) -> Spec:
    return {"seed": seed, "method": {"name": method, "strength": 0.1}}


@pytest.mark.parametrize(
    ("expect", "effect", "verdict"),
    [
        ("less", -0.05, "supported"),
        ("less", 0.05, "contradicted"),
        ("less", -0.001, "contradicted"),  # in the direction claimed, but nothing that matters
        ("greater", 0.05, "supported"),
        ("greater", -0.05, "contradicted"),
        ("equal", 0.0, "supported"),
        ("equal", 0.05, "contradicted"),
        ("different", 0.05, "supported"),
        ("different", 0.0, "contradicted"),
        ("greater", 0.01, "supported"),
    ],
)
def test_verdicts_of_known_effects(tmp_path: Path, expect: str, effect: float, verdict: str) -> None:
    study, expansion, _ = world(
        tmp_path,
        f"{BOTH}, expect: {expect}, smallest: 1",
        lambda s: noise(s) + effect * (s["method"]["name"] == "psam"),
        STUDY.replace("seeds: [0, 1, 2]", f"seeds: {list(range(12))}"),
    )
    assert judged(study, expansion)["verdict"] == verdict


def test_what_seeds_cannot_tell_is_undecided_and_says_how_many_would(tmp_path: Path) -> None:
    study, expansion, _ = world(
        tmp_path,
        f"{BOTH}, expect: less, smallest: 1",
        lambda s: 0.5 + 0.03 * math.sin(s["seed"] + len(s["method"]["name"])),
    )
    row = judged(study, expansion)
    assert row["verdict"] == "undecided"
    assert row["could_show"] > 1
    assert row["needed_at_smallest"] > 3


@pytest.mark.parametrize(
    ("more", "effect", "n", "left_out"),
    [("", (10 - 50) / 3, 3, 0), (", diverged: left_out", 0.0, 2, 1)],
)
def test_a_diverged_run_counts_as_chance_or_its_seed_is_left_out(
    tmp_path: Path, more: str, effect: float, n: int, left_out: int
) -> None:
    study, expansion, _ = world(
        tmp_path,
        f"{BOTH}, expect: less, smallest: 1{more}",
        lambda s: None if (s["method"]["name"], s["seed"]) == ("psam", 1) else 0.5,
    )
    row = judged(study, expansion)
    assert row["effect"] == pytest.approx(effect)
    assert (row["n_seeds"], row["n_left_out"], row["n_diverged_a"], row["n_diverged_b"]) == (n, left_out, 1, 0)


def test_where_all_diverged_nothing_is_decided(tmp_path: Path) -> None:
    study, expansion, _ = world(tmp_path, f"{BOTH}, expect: less, smallest: 1, diverged: left_out", lambda s: None)
    row = judged(study, expansion)
    assert (row["verdict"], row["n_seeds"], row["n_left_out"]) == ("undecided", 0, 3)
    assert math.isnan(row["effect"])


def test_no_seed_has_a_say_in_its_own_strength() -> None:
    """By hand: seed 2 is good at 0.2 alone, and so is judged at 0.1, which is best for the others."""
    scores = {0.1: {0: 5.0, 1: 5.0, 2: 0.0}, 0.2: {0: 4.0, 1: 4.0, 2: 9.0}}
    cells = {
        strength: {seed: Cell("e", "s", {}, {}, strength, seed, {}, "r") for seed in row}
        for strength, row in scores.items()
    }
    found = chosen(cells, (0, 1, 2), lambda cell: scores[cell.strength][cell.seed])
    assert found == {0: 0.2, 1: 0.2, 2: 0.1}
    tied = chosen(cells, (0, 1, 2), lambda cell: 1.0)
    assert set(tied.values()) == {0.1}


def test_best_is_by_validation_and_never_by_test(tmp_path: Path) -> None:
    """PSAM's validation is best at 0.2 and its test accuracy at 0.1; that of a diverged run is chance."""
    study, expansion, sample = world(
        tmp_path,
        "both: {activation: gelu}, a: {method: psam, rho: best}, b: {method: sgd}, expect: less, smallest: 1",
        noise,
    )
    for run in expansion.runs.values():
        method = run.spec["method"]
        content = result(run.id, run.spec, 0.5)
        if method["name"] == "psam":
            content["final"]["test_accuracy"] = {0.1: 0.9, 0.2: 0.6}.get(method["strength"], 0.5)
            content["final"]["validation_accuracy"] = {0.1: 0.3, 0.2: 0.4}.get(method["strength"], 0.5)
        sample.write(run.id, content)
    row = judged(study, expansion)
    assert row["effect"] == pytest.approx(10)
    assert row["a"] == "PSAM, GELU, ρ = 0.2, best by validation"
    for run in expansion.runs.values():
        if run.spec["method"] == {**run.spec["method"], "name": "psam", "strength": 0.2}:
            sample.write(run.id, result(run.id, run.spec, None))
    assert judged(study, expansion)["effect"] == pytest.approx(40)  # at 0.1 now


def judged_of_measured(folder: Path, claim: str, measured: Callable[[Spec, Spec], Mapping[Any, Any]]) -> pd.Series:
    """The one claim judged by what is measured, of the specs of measurement and run: place -> values there."""
    path = folder / "study.yaml"
    path.write_text(f"{STUDY}claims:\n  one: {{{claim}}}\n", encoding="utf-8")
    study = replace(load(path), store=str(folder / "results"))
    expansion, sample = expand(study), Sample(folder / "results")
    for run in expansion.runs.values():
        sample.write(run.id, result(run.id, run.spec, 0.5))
    for job in expansion.measurements.values():
        spec = expansion.runs[str(job.run)].spec
        sample.write_measurement(job, measurement_content(job, spec, measured(job.spec, spec)))
    return judged(study, expansion)


@pytest.fixture
def traced(tmp_path: Path) -> Callable[[str, Mapping[Any, Any]], pd.Series]:
    """A claim about tr H of the measurement, which has these values at each point and grows with the seed."""

    def found(claim: str, measured: Mapping[Any, Any]) -> pd.Series:
        text = f"figure: trace, says: x, both: {{method: psam, activation: gelu, rho: 0.1, y: tr_H}}, {claim}"

        def values_of(measurement: Spec, run: Spec) -> Mapping[Any, Any]:
            return {
                at: values if isinstance(values, str) else {"tr_H": values * (1 + 0.001 * run["seed"])}
                for at, values in measured.items()
            }

        return judged_of_measured(tmp_path, text, values_of)

    return found


MEASURED = {"initial": 2.0, 9: 4.0, 18: 8.0, "final": 40.0}


def test_a_number_that_is_measured(traced: Any) -> None:
    row = traced("a: {at: final}, b: 0, expect: greater, smallest: 1", MEASURED)
    assert row["effect"] == pytest.approx(40 * 1.001)
    assert (row["b"], row["unit"], row["verdict"]) == ("0", "tr_H", "supported")


def test_a_number_of_a_radius(tmp_path: Path) -> None:
    claim = (
        "figure: ahead, says: x, both: {method: psam, activation: gelu, rho: 0.1}, a: {radius: 1}, b: {radius: 0.1}, "
        "expect: greater, smallest: 1"
    )

    def values_of(measurement: Spec, run: Spec) -> Mapping[Any, Any]:
        return {at: {"gap_H": [0.5, 3.0 + 0.01 * run["seed"]]} for at in measurement["at"]}

    row = judged_of_measured(tmp_path, claim, values_of)
    assert row["effect"] == pytest.approx(2.505)
    assert (row["a"], row["unit"], row["verdict"]) == ("PSAM, GELU, ρ = 0.1, radius 1, final", "gap_H", "supported")


def test_a_ratio(traced: Any) -> None:
    row = traced("a: {at: 18}, b: {at: initial}, expect: greater, smallest: 2, scale: log", MEASURED)
    assert (row["effect"], row["ci_low"], row["ci_high"]) == pytest.approx((4, 4, 4))
    assert (row["unit"], row["verdict"]) == ("factor", "supported")


def test_what_has_no_logarithm_is_left_out(traced: Any) -> None:
    row = traced("a: {at: 18}, b: {at: initial}, expect: greater, smallest: 2, scale: log", MEASURED | {18: -1.0})
    assert (row["n_seeds"], row["n_left_out"], row["verdict"]) == (0, 3, "undecided")


def test_a_slope_against_a_slope(traced: Any) -> None:
    """From step 9 to the last, 22, and from 0 to 9."""
    row = traced(
        "a: {at: final, minus: {at: 40%}, per_step: true}, b: {at: 9, minus: {at: initial}, per_step: true}, expect: greater, "
        "smallest: 0.1",
        MEASURED,
    )
    assert row["effect"] == pytest.approx(1.001 * ((40 - 4) / (22 - 9) - (4 - 2) / 9))
    assert row["a"] == "PSAM, GELU, ρ = 0.1, final minus 40%, a step"


def test_a_run_that_did_not_get_there_is_left_out(traced: Any) -> None:
    row = traced("a: {at: final}, b: 0, expect: greater, smallest: 1", MEASURED | {"final": "not_reached"})
    assert (row["n_seeds"], row["n_left_out"], row["n_diverged_a"]) == (0, 3, 3)


def test_a_landscape_has_a_verdict_without_seeds(tmp_path: Path) -> None:
    claims = """\
claims:
  near:
    figure: plane
    says: x
    a: {activation: {name: beta_gelu, beta: 10}, y: share_near_boundaries, within: 2}
    b: 0.9
    expect: greater
    smallest: 0.01
  none: {figure: plane, says: x, a: {activation: relu, y: largest_norm_N_layer}, b: 0, expect: equal, smallest: 1e-6}
"""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY + claims, encoding="utf-8")
    study = replace(load(path), store=str(tmp_path / "results"))
    expansion, sample = expand(study), Sample(tmp_path / "results")
    for (entry, job), height in zip(expansion.landscapes["plane"], (0.0, 5.0), strict=True):
        file = sample.store.landscape(job.id)
        file.parent.mkdir(exist_ok=True, parents=True)
        arrays = planes.arrays(height)
        planes.write(file, **arrays, description_spec=job.spec, description_arrays=planes.arrays_sha256(arrays))
        assert entry["name"] in ("relu", "beta_gelu")
    rows = table(study, judge(study, expansion, lambda comparison: 1, lambda comparison: False))
    assert rows["verdict"].tolist() == ["supported", "supported"]
    assert rows["effect"][0] == pytest.approx(share_near_boundaries(planes.arrays(5.0), 0.2) - 0.9)
    assert rows["p"].isna().all()


def test_a_share_near_boundaries_is_counted_out() -> None:
    arrays = planes.arrays(5.0)
    w1, w2 = np.meshgrid(arrays["w1"], arrays["w2"])
    oblique = np.maximum(w1 - 0.5, 0) - np.maximum(w2 + 1, 0) + 0.3
    near = np.minimum.reduce([np.abs(w1 - 0.5), np.abs(w2 + 1), np.abs(oblique)]) <= 0.15
    squared = arrays["norm_N_layer"] ** 2
    assert share_near_boundaries(arrays, 0.15) == pytest.approx(squared[near].sum() / squared.sum())
    assert share_near_boundaries(planes.arrays(0.0), 0.15) == 0
    assert share_near_boundaries(planes.arrays(5.0, layer=2), 0.01) < share_near_boundaries(arrays, 0.15)


def test_holm_is_over_the_claims_of_a_setup(tmp_path: Path) -> None:
    """A claim that is supported alone is undecided among many that are not."""
    psam = f"figure: curve, says: x, setups: [mlp], {BOTH}"
    other = (
        "figure: curve, says: x, setups: [mlp], both: {method: psam, activation: gelu}, a: {rho: 0.1}, b: {rho: 0.2}"
    )
    path = tmp_path / "study.yaml"

    def accuracy(spec: Spec) -> float:
        return noise(spec) - 0.0092 * (spec["method"]["name"] == "psam" and spec["method"]["strength"] == 0.1)

    def found(claims: list[str]) -> pd.DataFrame:
        path.write_text(
            f"{STUDY}claims:\n" + "".join(f"  c{i}: {{{c}}}\n" for i, c in enumerate(claims)), encoding="utf-8"
        )
        study = replace(load(path), store=str(tmp_path / "results"))
        expansion, sample = expand(study), Sample(tmp_path / "results")
        for run in expansion.runs.values():
            sample.write(run.id, result(run.id, run.spec, accuracy(run.spec)))
        return table(study, judge(study, expansion, lambda comparison: 1, lambda comparison: False))

    alone = found([f"{psam}, expect: less, smallest: 0.1"]).iloc[0]
    among = found(
        [f"{psam}, expect: less, smallest: 0.1", *[f"{other}, expect: greater, smallest: {i}" for i in range(1, 15)]]
    )
    assert alone["verdict"] == "supported"
    assert among["verdict"][0] == "undecided"
    assert among["p"][0] == pytest.approx(alone["p"])
    assert among["p_holm"][0] == pytest.approx(min(1, 15 * alone["p_holm"]))


def test_every_column_is_explained_and_the_example_of_the_docs_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text.partition("## The table")[2], flags=re.MULTILINE)
    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    study, expansion, _ = world(tmp_path, f"{BOTH}, expect: less, smallest: 1", noise)
    assert explained == ["claim", "setup", "figure", "says", "a", "b", "expect", "smallest", *explained[8:]]
    assert set(explained) == set(table(study, judge(study, expansion, lambda comparison: 1, lambda comparison: False)))
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)[0])["claims"]
    claims = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["claims"]
    assert example.items() <= claims.items()


def test_missing_results_are_named(tmp_path: Path) -> None:
    study, expansion, sample = world(tmp_path, f"{BOTH}, expect: less, smallest: 1", noise)
    for run in expansion.runs:
        sample.store.result(run).unlink()
    with pytest.raises(UserError, match="6 of 6 results are missing"):
        judged(study, expansion)


def test_the_same_twice_is_the_same_and_new_seeds_are_another_look(tmp_path: Path) -> None:
    """Runs of other experiments change nothing; a look is counted once, and costs confidence."""
    study, expansion, sample = world(tmp_path, f"{BOTH}, expect: less, smallest: 1", noise)
    before = write_all(study, expansion, tmp_path)
    assert write_all(study, expansion, tmp_path) == before
    assert look_at(study, expansion)[0].look == 1
    study, expansion, sample = world(
        tmp_path, f"{BOTH}, expect: less, smallest: 1", noise, STUDY.replace("seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    )
    second = look_at(study, expansion)[0]
    assert second.look == 2
    assert look_at(study, expansion)[0].look == 2
    row = table(study, [second]).iloc[0]
    assert (row["look"], row["confidence"]) == (2, pytest.approx(1 - 0.05 * 0.75 * 0.25))
    assert len(list(sample.store.claims.rglob("look-*.json"))) == 2


def write_all(study: Study, expansion: Expansion, folder: Path) -> dict[str, bytes]:
    write(study, expansion, folder / "claims.csv", folder / "out", claims_identity(study, expansion))
    return {path.name: path.read_bytes() for path in [folder / "claims.csv", *(folder / "out").glob("claims.*")]}


def test_a_claim_says_whether_it_was_declared_before_its_runs(tmp_path: Path) -> None:
    claim = f"{BOTH}, expect: less, smallest: 1"
    study, expansion, sample = world(tmp_path, claim, noise)
    assert table(study, look_at(study, expansion))["declared"].tolist() == ["after its runs"]
    declare(sample.store, study, expansion)
    assert table(study, look_at(study, expansion))["declared"].tolist() == ["after its runs"]
    other, *_ = world(tmp_path, claim.replace("smallest: 1", "smallest: 2"), noise)
    for run in expansion.runs:
        sample.store.result(run).unlink()
    declare(sample.store, other, expansion)
    world(tmp_path, claim, noise)
    assert table(other, look_at(other, expansion))["declared"].tolist() == ["before its runs"]
    assert table(study, look_at(study, expansion))["declared"].tolist() == ["after its runs"]


def test_a_store_that_cannot_be_written_to_is_judged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, expansion, sample = world(tmp_path, f"{BOTH}, expect: less, smallest: 1", noise)

    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr("nmepkg.records.write", refuse)
    assert look_at(study, expansion)[0].look == 1
    assert not sample.store.claims.exists()
