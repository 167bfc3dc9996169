"""What jobs ask a cluster for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmepkg import records
from nmepkg.planning import resources
from nmepkg.planning.plan import Plan
from nmepkg.storage import STATE
from nmepkg.study.spec import Resources
from tests.study.samples import study

NEEDS = Resources(gpus=2, cpus=4, memory_gb=8.0, hours=1.5)


@pytest.fixture(autouse=True)
def _no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRES_OF_GPUS", "LARGEST_MEMORY_MB"):
        monkeypatch.delenv(name, raising=False)


def test_gpus_are_asked_for_in_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (resources.gpus(2), resources.gres(2)) == (2, "")
    monkeypatch.setenv("GRES_OF_GPUS", "gpu:a100")
    assert (resources.gpus(2), resources.gres(2)) == (0, "gpu:a100:2")
    assert (resources.gpus(0), resources.gres(0)) == (0, "")


def test_another_try_gets_half_as_much_memory_again_up_to_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [resources.memory(NEEDS, attempt) for attempt in (1, 2, 3)] == [8000, 12000, 16000]
    monkeypatch.setenv("LARGEST_MEMORY_MB", "10000")
    assert [resources.memory(NEEDS, attempt) for attempt in (1, 2, 3)] == [8000, 10000, 10000]
    monkeypatch.setenv("LARGEST_MEMORY_MB", "5000")
    assert resources.memory(NEEDS, 1) == 8000, "less than a setup asks for would not do"


def test_a_training_gets_more_memory_only_after_it_was_killed(tmp_path: Path) -> None:
    plan = Plan(study(tmp_path, ("name: tiny", f"name: tiny\nstore: {tmp_path}/results")), {})
    killed, other, *_ = plan.expansion.runs
    noted = {"epoch": 1, "epochs": 2, "seconds": 1.0, "left_seconds": 1.0, "error": None}
    for run, status in ((killed, "running"), (other, "stopped")):
        content = {"run": run, "status": status, "memory_mb": 8000, **noted}
        records.write(plan.store.state(run), STATE, content)
    assert resources.training_memory(plan, NEEDS, [other]) == 8000
    assert (
        resources.training_memory(plan, NEEDS, [killed])
        == resources.training_memory(plan, NEEDS, [other, killed])
        == 12000
    )


def test_a_job_has_a_minute_at_least() -> None:
    assert [resources.minutes(hours) for hours in (1e-6, 0.5, 1.5)] == [1, 30, 90]


def test_an_estimate_is_that_of_the_method_shared_by_gpus(tmp_path: Path) -> None:
    edits = ("    data:", "    device_hours: 4\n    resources: {gpus: 2, hours: 3}\n    data:")
    plan = Plan(study(tmp_path, edits), {})
    costs = {"sgd": 1, "sam": 2, "psam": 3}
    assert {(method, hours) for _, method, hours, _ in resources.estimates(plan, plan.expansion.runs)} == {
        (method, 4 * cost / 2) for method, cost in costs.items()
    }
    assert {(setup, job) for setup, _, _, job in resources.estimates(plan, plan.expansion.runs)} == {("mlp", 3)}
    assert list(resources.estimates(Plan(study(tmp_path), {}), ())) == []
