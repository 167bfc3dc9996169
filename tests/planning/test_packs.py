"""Which runs are trained in one job."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from nmepkg.planning.packs import measured_together, packs
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.specs import recipe, shape
from nmepkg.study.spec import Study
from tests.study.samples import study

PACKED = (
    "    training: {epochs: 1, batch_size: 16}\n",
    "    training: {epochs: 1, batch_size: 16}\n    runs_per_job: 5\n",
)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Study, Expansion]:
    made = study(tmp_path, PACKED)
    return made, expand(made)


def none(run: str) -> bool:
    return False


def test_every_missing_run_is_in_one_pack(packed: tuple[Study, Expansion]) -> None:
    found = packs(*packed, none)
    members = [run.id for pack in found.values() for run in pack.runs]
    assert sorted(members) == sorted(packed[1].runs)
    assert [len(pack.runs) for pack in found.values()] == [4, 4, 4]  # of 12 runs, two of each compiled step
    assert all(id == pack.id and pack.setup == "mlp" for id, pack in found.items())


def test_runs_of_one_compiled_step_are_neighbours(packed: tuple[Study, Expansion]) -> None:
    runs = [run for pack in packs(*packed, none).values() for run in pack.runs]
    shapes = [key for key, _ in itertools.groupby((run.spec["method"]["name"], run.spec["activation"]) for run in runs)]
    assert len(shapes) == 6  # SGD, SAM and PSAM, with two activations each: none of them in two places
    assert len([code for code, _ in itertools.groupby(run.code for run in runs)]) == len({run.code for run in runs})


def test_each_compiled_step_is_in_as_few_packs_as_it_needs(tmp_path: Path) -> None:
    made = study(tmp_path, (PACKED[0], PACKED[1].replace("5", "10")), ("[0, 1]", str(list(range(14)))))
    found = packs(made, expand(made), none).values()
    packs_of: dict[str, set[str]] = {}
    for pack in found:
        for run in pack.runs:
            packs_of.setdefault(repr(shape(recipe(run.spec))), set()).add(pack.id)
    assert [len(ids) for ids in packs_of.values()] == [2] * 6, "14 runs of each, ten a job"
    assert [len(pack.runs) for pack in found] == [10] * 6 + [8] * 3, "of what is left over, two share a job"


def test_finished_runs_are_in_no_pack(packed: tuple[Study, Expansion]) -> None:
    finished = set(list(packed[1].runs)[::2])
    found = packs(*packed, finished.__contains__)
    assert {run.id for pack in found.values() for run in pack.runs} == set(packed[1].runs) - finished
    assert packs(*packed, lambda run: True) == {}


def test_one_run_a_job_is_no_pack(tmp_path: Path) -> None:
    made = study(tmp_path)
    assert packs(made, expand(made), none) == {}


def test_a_pack_is_named_by_its_runs(packed: tuple[Study, Expansion]) -> None:
    assert list(packs(*packed, none)) == list(packs(*packed, none))
    first = next(iter(packs(*packed, none).values()))
    assert first.id not in packs(*packed, lambda run: run == first.runs[0].id)


def test_setups_are_not_mixed(tmp_path: Path) -> None:
    two = (
        ("experiments:\n", "  other:\n    data: {name: mnist1d, samples: 200}\n"
         "    model: {name: mlp, width: 8, depth: 1}\n    optimizer: {learning_rate: 0.1}\n"
         "    training: {epochs: 1, batch_size: 16}\n    runs_per_job: 100\nexperiments:\n"),
        ("setups: [mlp]", "setups: [mlp, other]"),
        ("lines: method", "lines: method, rows: setup"),
    )  # fmt: skip
    made = study(tmp_path, PACKED, *two)
    found = packs(made, expand(made), none).values()
    assert {(pack.setup, run.spec["model"]["width"]) for pack in found for run in pack.runs} == {
        ("mlp", 4),
        ("other", 8),
    }
    assert [len(pack.runs) for pack in found] == [4, 4, 4, 12]


MEASURED = (
    ("experiments:\n", "measurements:\n  step: {kind: alignment, examples: 64}\n  traces: {kind: traces, examples: 64}\n"
     "experiments:\n"),
    ("    seeds: [0, 1]\n", "    seeds: [0, 1]\n    measurements: [step, traces]\n"),
)  # fmt: skip


def test_what_is_trained_together_is_measured_together(tmp_path: Path) -> None:
    made = study(tmp_path, PACKED, *MEASURED)
    expansion = expand(made)
    pack_of = {run.id: pack for pack in packs(made, expansion, none).values() for run in pack.runs}
    found = measured_together(made, expansion, expansion.measurements, pack_of).values()
    assert sorted(job.id for jobs in found for job in jobs) == sorted(expansion.measurements)
    for jobs in found:
        assert len({pack_of[str(job.run)].id for job in jobs}) == 1
        assert len({expansion.runs[str(job.run)].code for job in jobs}) == 1
    assert max(map(len, found)) <= 5


def test_of_finished_runs_those_that_share_what_they_compile_are_measured_together(tmp_path: Path) -> None:
    made = study(tmp_path, PACKED, *MEASURED)
    expansion = expand(made)
    found = measured_together(made, expansion, expansion.measurements, {}).values()
    assert sorted(job.id for jobs in found for job in jobs) == sorted(expansion.measurements)
    places: dict[str, set[int]] = {}
    for place, jobs in enumerate(found):
        for job in jobs:
            places.setdefault(repr((job.spec, shape(recipe(expansion.runs[str(job.run)].spec)))), set()).add(place)
    assert len(places) == 12, "two kinds, of six compiled steps"
    assert all(len(jobs) == 1 for jobs in places.values())


def test_one_run_a_job_is_measured_alone(tmp_path: Path) -> None:
    made = study(tmp_path, *MEASURED)
    expansion = expand(made)
    assert measured_together(made, expansion, expansion.measurements, {}) == {}
