"""Results that go on to serve for code that gives the same."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from nmepkg import records
from nmepkg.data import store as data
from nmepkg.errors import UserError
from nmepkg.runs.expansion import Run
from nmepkg.runs.identity import code_hash, measurement_targets, run_id
from nmepkg.storage import MEASUREMENT, RESULT
from nmepkg.upkeep.adopt import adopt, adoptions
from nmepkg.upkeep.explain import explain
from tests.upkeep.made import OLD, Made


def test_a_run_of_the_same_spec_serves_and_says_so(made: Made) -> None:
    run, other, *_ = made.runs
    old = made.by_other_code(run, changed="nmepkg.losses")
    (found,) = adoptions(made.expansion, made.store)
    assert (found.what, found.old, found.new, found.code) == ("run", old.id, run.id, run.code)
    assert found.modules == ("nmepkg.losses",)
    adopt(made.store, found, "renamed a variable")
    result = records.read(made.store.result(run.id), RESULT, {"run": run.id, "spec": run.spec})
    assert result["provenance"]["code"] == OLD, "the code that computed it"
    (note,) = result["provenance"]["adopted"]
    assert note["from"] == old.id
    assert note["code"] == run.code
    assert note["reason"] == "renamed a variable"
    assert note["modules"] == ["nmepkg.losses"]
    assert adoptions(made.expansion, made.store) == []
    missing = {reason.id for reason in explain(made.study, made.expansion, made.store)}
    assert run.id not in missing
    assert other.id in missing


def test_its_measurements_serve_too(made: Made) -> None:
    job = next(iter(made.expansion.measurements.values()))
    run = made.expansion.runs[str(job.run)]
    old = made.by_other_code(run)
    made.measure(job, id="alignment-before", run=old.id)
    found = adoptions(made.expansion, made.store)
    assert [adoption.what for adoption in found] == ["run", "measurement"]
    for adoption in found:
        adopt(made.store, adoption, "no change")
    content = records.read(made.store.measurement(run.id, job.id), MEASUREMENT, {"measurement": job.id, "run": run.id})
    assert content["provenance"]["adopted"][0]["from"] == "alignment-before"
    assert job.id not in {reason.id for reason in explain(made.study, made.expansion, made.store)}


def test_what_changed_is_named_whatever_it_was(made: Made) -> None:
    """The run's code and not the measurement's; the data's code and not the run's."""
    job = next(iter(made.expansion.measurements.values()))
    run = made.expansion.runs[str(job.run)]
    old = made.by_other_code(run, changed="nmepkg.losses")
    made.measure(job, id="alignment-before", run=old.id)
    code = code_hash(measurement_targets(job.spec))
    path = made.store.measurement(old.id, "alignment-before")
    content = records.read(path, MEASUREMENT, {})
    records.write(path, MEASUREMENT, {**content, "provenance": {**content["provenance"], "code": code}})
    text = made.call("adopt")
    assert "1 run: changed code: nmepkg.losses\n" in text
    assert "1 measurement: its run's code changed, its own did not\n" in text

    shutil.rmtree(made.store.run(old.id))
    before = Run(run_id(run.spec, run.code, "mnist1d-before"), run.spec, run.code, "mnist1d-before")
    arrays = {name: np.zeros((2, 3) if name.endswith("x") else 2, int) for name in data.ARRAYS}
    data.write(made.store.data(run.data_id), arrays, {}, code="abc")
    same = records.read(made.store.data_files(run.data_id)[1], data.KIND, {})["arrays"]
    made.finish(before, data="mnist1d-before", data_sha256=same)
    assert "1 run: changed code: unknown modules of data mnist1d-before\n" in made.call("adopt")


def test_a_result_that_lost_a_file_does_not_serve(made: Made) -> None:
    run = made.runs[0]
    old = made.by_other_code(run)
    path = made.store.result(old.id)
    records.write(path, RESULT, {**records.read(path, RESULT, {}), "files": {"params.npz": "0" * 64}})
    assert len(adoptions(made.expansion, made.store)) == 1
    made.store.params(old.id).unlink()
    assert adoptions(made.expansion, made.store) == []


def test_a_measurement_by_other_code_of_a_run_that_stays(made: Made) -> None:
    job = next(iter(made.expansion.measurements.values()))
    made.finish(made.expansion.runs[str(job.run)])
    made.measure(job, id="alignment-before")
    (found,) = adoptions(made.expansion, made.store)
    assert (found.what, found.old, found.new, found.run) == ("measurement", "alignment-before", job.id, job.run)


def test_other_data_are_adopted_only_if_they_are_the_same(made: Made) -> None:
    run = made.runs[0]
    old = made.by_other_code(run)
    made.finish(old, data="mnist1d-before", data_sha256="")
    with pytest.raises(UserError, match="not prepared by the code as it is now; run: snakemake"):
        adoptions(made.expansion, made.store)
    arrays = {name: np.zeros((2, 3) if name.endswith("x") else 2, int) for name in data.ARRAYS}
    data.write(made.store.data(run.data_id), arrays, {}, code="abc")
    with pytest.raises(UserError, match="the data themselves changed"):
        adoptions(made.expansion, made.store)
    same = records.read(made.store.data(run.data_id).with_suffix(".json"), data.KIND, {})["arrays"]
    made.finish(old, data="mnist1d-before", data_sha256=same)
    assert len(adoptions(made.expansion, made.store)) == 1


def test_the_command_asks_for_a_reason_and_takes_figures(made: Made) -> None:
    first, *others = made.runs
    made.by_other_code(first)
    relu = next(run for run in others if run.spec["activation"]["name"] == "relu")
    made.by_other_code(relu)
    assert "Nothing was adopted: call adopt --yes" in made.call("adopt")
    assert "--reason is missing" in made.call("adopt", "--yes", code=2)
    assert not made.store.result(first.id).exists()
    listed = json.loads(made.call("adopt", "curve", "--yes", "--reason", "a rename", "--json"))
    assert [item["new"] for item in listed] == [first.id]
    assert made.store.result(first.id).exists()
    assert not made.store.result(relu.id).exists()
