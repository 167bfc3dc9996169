"""What is planned of a study, and what its jobs are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg.errors import UserError
from nmepkg.planning.plan import Plan
from nmepkg.runs import jobs
from nmepkg.runs.expansion import Job
from nmepkg.runs.jobs import Assignment
from nmepkg.storage import Store
from nmepkg.study.load import load
from nmepkg.study.spec import Resources
from tests.study.samples import edited, study

MEASURED = (
    ("name: tiny", "name: tiny\nmeasurements: {step: {kind: alignment}}"),
    ("seeds: [0, 1]", "seeds: [0, 1]\n    measurements: [step]"),
)
PACKED = (
    "    training: {epochs: 1, batch_size: 16}\n",
    "    training: {epochs: 1, batch_size: 16}\n    runs_per_job: 5\n",
)


def planned(folder: Path, *edits: tuple[str, str]) -> Plan:
    plan = Plan(study(folder, *edits), {})
    plan.look()
    return plan


def test_what_is_written_of_a_job_is_read(tmp_path: Path) -> None:
    """A million epochs are no 1e+06, which is no whole number."""
    path = tmp_path / "some {folder}" / "job.json"
    told = Assignment(
        (Job("a", {"rho": 0.1}, "c0de"), Job("b", {}, "c0de", "run")),
        Store(Path("results")),
        gpus=2,
        source=Path("a folder"),
        checkpoints={"seconds": None, "epochs": 1_000_000},
        logs=Path("logs"),
    )
    jobs.write(path, told)
    assert jobs.read(path) == told
    assert isinstance(jobs.read(path).checkpoints["epochs"], int)


def test_a_job_without_its_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the file of a job is not readable .*; run snakemake again, which writes it$"):
        jobs.read(tmp_path / "none.json")


def test_a_training_is_told_what_it_is_and_where(tmp_path: Path) -> None:
    plan = planned(tmp_path, ("name: tiny", "name: tiny\ncheckpoints: {epochs: 3}"))
    run = next(iter(plan.expansion.runs.values()))
    told = plan.assignment("train", run.id)
    assert told.job == Job(run.id, run.spec, run.code)
    assert (told.store, told.gpus, told.source) == (plan.store, 0, None)
    assert told.checkpoints["epochs"] == 3


@pytest.mark.parametrize(
    ("data", "model", "readers"),
    [
        ("imagenet2012", "resnet", {"data", "train", "measure"}),
        ("cifar10", "{name: mlp, width: 4, depth: 1}", {"data"}),
    ],
)
def test_sources_reach_the_jobs_that_read_them(tmp_path: Path, data: str, model: str, readers: set[str]) -> None:
    """Streamed data are read all along, archives once."""
    plan = planned(
        tmp_path,
        *MEASURED,
        ("{name: mnist1d, samples: 200}", data),
        ("{name: mlp, width: 4, depth: 1}", model),
        ("version: 1", f"version: 1\nsources: {{{data}: 'some {{run}} data'}}"),
    )
    first = {
        "data": next(iter(plan.expansion.datasets)),
        "train": next(iter(plan.expansion.runs)),
        "measure": next(iter(plan.expansion.measurements)),
    }
    told = {rule: plan.assignment(rule, id).source for rule, id in first.items()}
    assert {rule for rule, source in told.items() if source == Path("some {run} data")} == readers
    assert {rule for rule, source in told.items() if source is None} == first.keys() - readers


def test_gpus_are_promised_to_trainings_and_one_to_measurements(tmp_path: Path) -> None:
    plan = planned(tmp_path, *MEASURED, (PACKED[0], PACKED[0] + "    resources: {gpus: 4}\n"))
    assert plan.assignment("train", next(iter(plan.expansion.runs))).gpus == 4
    assert plan.assignment("measure", next(iter(plan.expansion.measurements))).gpus == 1


def test_runs_at_once_are_those_of_a_job_of_several_and_share_its_hours(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, *MEASURED, (PACKED[0], PACKED[1] + "    runs_at_once: 3\n    resources: {cpus: 3, hours: 4}\n")
    )
    pack, taken = next(iter(plan.packs)), next(iter(plan.measured_together))
    assert [
        plan.assignment(rule, id).at_once for rule, id in (("train_together", pack), ("measure_together", taken))
    ] == [3, 3]
    assert plan.assignment("train", plan.runs_of_pack(pack)[0]).at_once == 1
    assert len(plan.runs_of_pack(pack)) == 4
    assert plan.hours(plan.runs_of_pack(pack)) == 8, "three, and then one"
    assert plan.hours(plan.runs_of_pack(pack)[:3], most=2) == 2


@pytest.mark.parametrize(
    ("training", "measuring"),
    [
        ("{gpus: 8, cpus: 64, memory_gb: 256, hours: 24}", Resources(1, 8, 32, 2)),
        ("{gpus: 4, cpus: 2, memory_gb: 3, hours: 1}", Resources(1, 1, 3, 1)),
        ("{gpus: 0, cpus: 4, memory_gb: 8, hours: 3}", Resources(0, 4, 8, 2)),
    ],
)
def test_a_measurement_takes_one_gpus_share_of_a_machine(tmp_path: Path, training: str, measuring: Resources) -> None:
    plan = planned(tmp_path, *MEASURED, (PACKED[0], PACKED[0] + f"    resources: {training}\n"))
    assert plan.needs_to_measure(next(iter(plan.expansion.runs))) == measuring


def test_of_runs_that_are_trained_together_those_that_were_asked_for(tmp_path: Path) -> None:
    plan = planned(tmp_path, PACKED)
    pack = next(iter(plan.packs.values()))
    asked = [pack.runs[3].id, pack.runs[1].id, "another"]
    assert [job.id for job in plan.assignment("train_together", pack.id, asked).jobs] == [
        pack.runs[i].id for i in (1, 3)
    ]
    whole = plan.assignment("train_together", pack.id, ["another"])
    assert [job.id for job in whole.jobs] == plan.runs_of_pack(pack.id) == [run.id for run in pack.runs]
    assert whole.logs == Path("results/logs/train")


def test_a_job_of_several_has_its_runs_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which runs are trained together depends on what is finished: a job does not find out again."""
    monkeypatch.chdir(tmp_path)
    plan = planned(tmp_path, PACKED)
    pack = next(iter(plan.packs.values()))
    jobs.write(
        Path(plan.file("train_together", pack.id)), plan.assignment("train_together", pack.id, [pack.runs[1].id])
    )
    job = Plan(load(tmp_path / "study.yaml"), {})
    assert job.runs_of_pack(pack.id) == [pack.runs[1].id]
    assert job.needs_of_pack(pack.id) == plan.needs_of_pack(pack.id)


def test_a_job_of_a_run_that_the_study_has_no_more_is_refused(tmp_path: Path) -> None:
    run = next(id for id in planned(tmp_path).expansion.runs if id.endswith("s1") or "-s1-" in id)
    (tmp_path / "study.yaml").write_text(edited(("seeds: [0, 1]", "seeds: [0]")), encoding="utf-8")
    with pytest.raises(UserError, match="study or code changed since this job was planned; run snakemake again"):
        Plan(load(tmp_path / "study.yaml"), {}).needs(run)


def test_a_run_that_is_not_whole_is_waited_for_by_its_mark(tmp_path: Path) -> None:
    plan = planned(tmp_path, ("name: tiny", f"name: tiny\nstore: {tmp_path}/results"))
    first, second, *_ = plan.expansion.runs
    for run in (first, second):
        plan.store.run(run).mkdir(parents=True)
        plan.store.result(run).touch()
    plan.store.params(first).touch()
    plan.look()
    assert plan.result(first) == str(plan.store.result(first))
    assert plan.result(second) == f"{plan.marks}/{second}.again"


def test_targets_ask_for_what_is_gone_of_what_is_drawn_alone(tmp_path: Path) -> None:
    """What is not drawn asks for its runs itself: a file that is named twice takes Snakemake's time twice."""
    edits = [("name: tiny", f"name: tiny\nstore: {tmp_path}/results\noutput: {tmp_path}/results")]
    plan = planned(tmp_path, *edits)
    figure = next(iter(plan.study.figures))
    assert len(plan.behind(figure)) > 1
    assert plan.lost(plan.shown) == []
    record = Path(plan.record(figure))
    record.parent.mkdir(parents=True)
    record.touch()
    there, *gone = plan.behind(figure)
    Path(there).parent.mkdir(parents=True)
    Path(there).touch()
    assert Plan(plan.study, {}).lost([figure, figure]) == gone
