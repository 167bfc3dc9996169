"""The record of a figure: what it shows, made by which code from which results, and which files are its."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest

from nmepkg import records
from nmepkg.analysis.render import render
from nmepkg.errors import UserError
from nmepkg.runs.expansion import Expansion
from nmepkg.runs.figure_identity import figure_digest, figure_identity
from nmepkg.storage import FIGURE, figure_record
from nmepkg.study.spec import Study
from tests.analysis.embedded import READERS, origin
from tests.analysis.samples import PROVENANCE
from tests.analysis.study import Provenance, draw_nothing, prepare

OLDER = {**PROVENANCE, "jax": "0.10.1"}
ADOPTED = [{"from": "before", "reason": "a name"}]


def _render(study: Study, expansion: Expansion, name: str, out: Path) -> tuple[str, dict[str, Any]]:
    """(note, content of the record) of a figure."""
    identity = figure_identity(study, expansion, study.figures[name])
    note = render(study, expansion, study.figures[name], out, identity)
    (path,) = (out / "records" / name).iterdir()
    assert path == figure_record(out, name, identity["digest"])
    return note, records.read(path, FIGURE, {"digest": identity["digest"]})


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_nothing(monkeypatch)


@pytest.fixture(scope="module", params=["curve", "beta", "traces", "plane"])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """(study, expansion, name of a figure, folder, its record)."""
    folder = tmp_path_factory.mktemp("study")
    study, expansion = prepare(folder)
    note, record = _render(study, expansion, request.param, folder / "out")
    assert note == ""
    return study, expansion, request.param, folder / "out", record


def test_a_record_says_what_a_figure_is_of(drawn: tuple[Any, ...]) -> None:
    study, expansion, name, _, record = drawn
    figure = study.figures[name]
    landscapes = [job.id for _, job in expansion.landscapes["plane"]] if name == "plane" else []
    assert (record["study"], record["figure"], record["title"]) == ("small", name, figure.title)
    assert record["study_sha256"] == hashlib.sha256(study.path.read_bytes()).hexdigest()
    assert record["digest"] == figure_digest(study, expansion, figure)
    assert record["code"] == record["parts"]["code"]
    assert record["runs"] == sorted([*expansion.runs_of(figure), *landscapes])
    assert len(record["runs"]) == {"curve": 24, "beta": 12, "traces": 6, "plane": 2}[name]
    assert record["measurements"] == sorted(expansion.measurements_of(figure))
    assert record["run_code"] == (["c0de", "c0de2"] if name == "traces" else ["c0de"])
    assert {"nmepkg.analysis.render", f"nmepkg.analysis.figures.{figure.kind}"} <= set(record["modules"])


def test_every_picture_says_the_same_as_the_record(drawn: tuple[Any, ...]) -> None:
    _, _, name, out, record = drawn
    for kind in READERS:
        embedded = origin(kind, (out / f"{name}.{kind}").read_bytes())
        assert {"study", "study_sha256", "figure", "digest", "code", "run_code", "runs", "note"} <= set(embedded)
        assert embedded == {key: record[key] for key in embedded}


def test_a_record_has_the_hashes_of_all_files(drawn: tuple[Any, ...]) -> None:
    _, _, name, out, record = drawn
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir() if path.is_file()}
    assert record["files"] == files
    assert set(files) == {f"{name}.{end}" for end in ("pdf", "svg", "png", "csv", "runs.csv")}


@pytest.fixture(scope="module")
def again(drawn: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """How many settings a user's matplotlibrc changes, and the record of the figure drawn again with it."""
    study, expansion, name, *_ = drawn
    with matplotlib.rc_context():
        changed = 0
        for key, value in other_settings().items():
            with suppress(ValueError):  # not every number is a value of every setting
                matplotlib.rcParams[key] = value
                changed += 1
        return changed, _render(study, expansion, name, tmp_path_factory.mktemp("again"))[1]


def test_drawn_again_it_is_the_same_to_the_byte(drawn: tuple[Any, ...], again: tuple[int, dict[str, Any]]) -> None:
    assert again[1] == drawn[-1]


def test_what_a_users_matplotlibrc_says_changes_nothing(
    drawn: tuple[Any, ...], again: tuple[int, dict[str, Any]]
) -> None:
    changed, record = again
    assert changed > 150
    assert record == drawn[-1]


def other_settings() -> dict[str, Any]:
    """Another value for each of Matplotlib's settings that is a switch, a number or a colour."""
    others: dict[str, Any] = {}
    for key, value in matplotlib.rcParamsDefault.items():
        if isinstance(value, bool):
            others[key] = not value
        elif isinstance(value, int | float) and value < 1:
            others[key] = value / 2 + 0.1
        elif isinstance(value, int | float):
            others[key] = value * 2
        elif value in ("black", "white", "k"):
            others[key] = "red"
    return others


@pytest.mark.usefixtures("blank")
def test_records_of_what_was_drawn_before_go(tmp_path: Path) -> None:
    study, expansion = prepare(tmp_path)
    out = tmp_path / "out"
    _render(study, expansion, "curve", out)
    older = figure_record(out, "beta", "0123456789ab")
    older.parent.mkdir()
    older.write_text("of another day")
    _render(study, expansion, "beta", out)  # which asserts that there is one record
    assert not older.exists()
    assert len(list((out / "records" / "curve").iterdir())) == 1


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize("step", ["save", "write_tables"])
def test_a_figure_that_was_not_finished_has_no_record(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, expansion = prepare(tmp_path)
    out = tmp_path / "out"
    _render(study, expansion, "beta", out)
    monkeypatch.setattr(f"nmepkg.analysis.render.{step}", _fail)
    with pytest.raises(OSError, match="disk"):
        _render(study, expansion, "beta", out)
    assert not list((out / "records" / "beta").iterdir())


def _fail(*_: Any) -> None:
    raise OSError("no space left on the disk")


@pytest.mark.usefixtures("blank")
def test_a_figure_without_its_results_keeps_its_record(tmp_path: Path) -> None:
    study, expansion = prepare(tmp_path)
    _render(study, expansion, "beta", tmp_path / "out")
    run = expansion.runs_of(study.figures["beta"])[0]
    (tmp_path / "results" / "runs" / run / "result.json").unlink()
    with pytest.raises(UserError, match="1 of 12 results are missing"):
        _render(study, expansion, "beta", tmp_path / "out")
    assert len(list((tmp_path / "out" / "records" / "beta").iterdir())) == 1


def _of_seed_1(**changes: Any) -> Provenance:
    """That of runs of the second seed."""
    return lambda job: changes if job.spec.get("seed") == 1 else {}


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize(
    ("name", "provenance", "note"),
    [
        ("beta", _of_seed_1(jax="0.10.3"), "mixes jax 0.10.2, 0.10.3"),
        ("beta", _of_seed_1(earlier=[OLDER]), "mixes jax 0.10.1, 0.10.2"),
        ("beta", _of_seed_1(adopted=ADOPTED), "6 of 12 results of other code, adopted"),
        (
            "beta",
            _of_seed_1(earlier=[OLDER], adopted=ADOPTED),
            "mixes jax 0.10.1, 0.10.2; 6 of 12 results of other code, adopted",
        ),
        # A run counts once, whether several methods, quantities or steps of it are drawn.
        ("curve", _of_seed_1(adopted=ADOPTED), "12 of 24 results of other code, adopted"),
        (
            "traces",
            lambda job: {"adopted": ADOPTED} if "at" in job.spec else {},
            "6 of 6 results of other code, adopted",
        ),
        (
            "plane",
            lambda job: {"device": "gpu", "earlier": [OLDER], "adopted": ADOPTED} if _is_gelu(job) else {},
            "mixes jax 0.10.1, 0.10.2; device cpu, gpu; 1 of 2 results of other code, adopted",
        ),
        (
            "traces",
            lambda job: {"device": "gpu", "earlier": [OLDER]} if "at" in job.spec else {},
            "mixes jax 0.10.1, 0.10.2; device cpu, gpu",
        ),
    ],
)
def test_other_versions_and_adopted_results_are_noted_everywhere(
    tmp_path: Path, name: str, provenance: Provenance, note: str
) -> None:
    study, expansion = prepare(tmp_path, provenance)
    out = tmp_path / "out"
    returned, record = _render(study, expansion, name, out)
    assert (returned, record["note"]) == (note, note)
    for kind in READERS:
        assert origin(kind, (out / f"{name}.{kind}").read_bytes())["note"] == note
    assert pd.read_csv(out / f"{name}.csv")["note"].unique().tolist() == [note]


def _is_gelu(job: Any) -> bool:
    return bool(job.spec["activation"]["name"] == "gelu") if "activation" in job.spec else False


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize("name", ["beta", "traces", "plane"])
def test_the_table_of_runs_says_which_are_of_whom(tmp_path: Path, name: str) -> None:
    study, expansion = prepare(tmp_path, lambda job: {"earlier": [OLDER], "adopted": ADOPTED})
    _render(study, expansion, name, tmp_path / "out")
    runs = pd.read_csv(tmp_path / "out" / f"{name}.runs.csv")
    for prefix in ("", "measurement_") if name == "traces" else ("",):
        assert set(runs[f"{prefix}jax"]) == {"0.10.1 then 0.10.2"}
        assert set(runs[f"{prefix}adopted"]) == {"before: a name"}
        assert set(runs[f"{prefix}python"]) == {"3.12.1"}
