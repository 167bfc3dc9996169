"""What undecided claims lack: seeds, runs, time, and experiments that can be pasted."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from nmepkg.__main__ import main
from nmepkg.analysis.claims.judge import table, verdicts
from nmepkg.analysis.claims.write import look_at
from nmepkg.errors import UserError
from nmepkg.runs.compared import study_comparisons
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.upkeep import seeds
from nmepkg.upkeep.lacking import show_lacking
from nmepkg.upkeep.verdicts import counted, show_claims
from tests.analysis.test_claims import BOTH, Spec, world
from tests.study.test_claims import STUDY


def spread(spec: Spec) -> float:
    return 0.5 + 0.03 * math.sin(7 * spec["seed"] + len(spec["method"]["name"]))


def lacking(folder: Path, claim: str) -> tuple[Study, list[seeds.More]]:
    study, expansion, sample = world(folder, claim, spread)
    judged = look_at(study, expansion)
    return study, seeds.undecided(sample.store, study, judged, verdicts(judged))


def test_more_seeds_of_both_arms_and_their_time(tmp_path: Path) -> None:
    """Each run takes a second and a half."""
    _, (more,) = lacking(tmp_path, f"{BOTH}, expect: less, smallest: 1")
    assert more.at_smallest is not None
    assert len(more.seconds) == 2
    assert more.cost(10) == pytest.approx(10 * 2 * 1.5)
    row = table(*_judged(tmp_path))
    assert row["needed_at_smallest"][0] == 3 + more.at_smallest


def _judged(folder: Path):  # type: ignore[no-untyped-def]
    study, expansion, _ = world(folder, f"{BOTH}, expect: less, smallest: 1", spread)
    return study, look_at(study, expansion)


def test_experiments_to_paste_give_a_claim_its_seeds(tmp_path: Path) -> None:
    claim = "both: {activation: gelu, rho: best}, a: {method: psam}, b: {method: sam}, expect: less, smallest: 1"
    _, found = lacking(tmp_path, claim)
    chosen = seeds.affordable(found, None)
    assert chosen == found
    pasted = yaml.safe_load(seeds.experiments(chosen))["experiments"]
    assert [entry["methods"] for entry in pasted.values()] == [["psam"], ["sam"]]
    assert {tuple(entry["rho"]) for entry in pasted.values()} == {(0.1, 0.2)}
    content = yaml.safe_load(f"{STUDY}claims:\n  one: {{figure: curve, says: x, setups: [mlp], {claim}}}\n")
    content["experiments"] |= pasted
    path = tmp_path / "more.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    study = load(path)
    (comparison,) = study_comparisons(study, expand(study))
    assert comparison.seeds == tuple(range(3 + (chosen[0].at_effect or 0)))


def test_a_budget_is_kept_and_shared_runs_are_paid_once(tmp_path: Path) -> None:
    _, (more,) = lacking(tmp_path, f"{BOTH}, expect: less, smallest: 1")
    cost = more.cost(more.at_effect or 0)
    assert seeds.cost([more, more]) == pytest.approx(cost)
    assert seeds.affordable([more], cost) == [more]
    assert seeds.affordable([more], cost - 1) == []


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("30min", 1800), ("2h", 7200), (" 1.5 d", 129600)])
def test_times(written: str, seconds: float) -> None:
    assert seeds.seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["", "30", "30 minutes", "-1h", "1e3s"])
def test_what_is_no_time(written: str) -> None:
    with pytest.raises(UserError, match="is no time; write, say, 30min or 2h"):
        seeds.seconds_of(written)


def test_on_a_terminal(tmp_path: Path) -> None:
    study, found = lacking(tmp_path, f"{BOTH}, expect: less, smallest: 1")
    rows = table(*_judged(tmp_path))
    rows.to_csv(tmp_path / "claims.csv", index=False)
    assert list(counted(tmp_path / "claims.csv")) == [
        "verdicts: 0 supported, 0 contradicted, 1 undecided",
        "  undecided: one (mlp)",
    ]
    console = Console(file=io.StringIO(), width=100, highlight=False)
    show_claims(console, study, rows.to_dict("records"))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "undecided" in shown
    assert shown.endswith("0 supported, 0 contradicted, 1 undecided\n")
    assert max(map(len, shown.splitlines())) <= 100
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show_lacking(console, study, found, found)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue()
    assert "# at the effects seen, about" in lines
    assert yaml.safe_load(lines.partition("claims: 1\n")[2])["experiments"]


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")  # which the command sets, and later tests are to find as it was
    _judged(tmp_path)
    called = ["claims", "--study", str(tmp_path / "study.yaml"), "--store", str(tmp_path / "results")]
    assert main(called) == 0
    assert "1 undecided" in capsys.readouterr().out
    assert main([*called, "--next"]) == 0
    assert "experiments:" in capsys.readouterr().out
    assert main([*called, "--budget", "1h"]) == 2
    assert "--budget is of --next" in capsys.readouterr().err
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    assert main(called) == 2
    assert "the study has no claims" in capsys.readouterr().err
