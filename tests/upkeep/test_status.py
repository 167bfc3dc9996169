"""How far a study is."""

from __future__ import annotations

import io
import json
import shutil
from typing import Any

import pytest
from rich.console import Console

from nmepkg.registry import METHODS
from nmepkg.upkeep import terminal
from nmepkg.upkeep.status import device_seconds, status
from nmepkg.upkeep.survey import STATUSES, State, damage, next_memory, run_states
from tests.upkeep.made import Made


def test_every_state_of_a_run_is_told_apart(made: Made) -> None:
    done, diverged, running, stopped, killed, failed, damaged, missing, *_ = made.runs
    made.finish(done, seconds=36)
    made.finish(diverged, status="diverged", seconds=10, at_once=4)
    made.unfinished(running, "running")
    made.unfinished(stopped, "stopped", epoch=7)
    made.unfinished(killed, "running")
    made.unfinished(failed, "failed", error="no space left")
    made.finish(damaged)
    path = made.store.result(damaged.id)
    path.write_text(path.read_text().replace("completed", "diverged"))
    with made.training(running):
        states = run_states(made.store, made.runs)
    assert states[done.id].status == "done"
    assert (states[diverged.id].status, states[diverged.id].seconds) == ("diverged", 2.5), "a fourth of the device"
    assert states[running.id] == State("running", 12.0, 18.0, 4, 10)
    assert states[stopped.id] == State("stopped", 12.0, None, 7, 10)
    assert states[killed.id] == State("stopped", 12.0, None, 4, 10), "its process is no more"
    assert states[failed.id] == State("failed", 12.0, None, 4, 10, "no space left")
    assert states[damaged.id].status == "damaged"
    assert "changed since it was written" in states[damaged.id].problem
    assert states[missing.id] == State("missing")


def test_memory_grows_after_a_training_that_was_killed_alone(made: Made) -> None:
    run, other, *_ = made.runs
    assert next_memory(made.store, run.id, 1000) == 1000
    for status_, given, expected in (
        ("stopped", 1500, 1500),
        ("failed", None, 1000),
        ("running", 1500, 2250),
        ("running", None, 1500),
    ):
        shutil.rmtree(made.store.run(run.id), ignore_errors=True)
        made.unfinished(run, status_, memory_mb=given)
        assert next_memory(made.store, run.id, 1000) == expected
    made.unfinished(other, "running", memory_mb=1500)
    with made.training(other):
        assert next_memory(made.store, other.id, 1000) == 1500, "it is not at its end"


def test_figures_count_their_own_runs_and_measurements(made: Made) -> None:
    expansion = made.expansion
    other = next(run for run in made.runs if run.spec["activation"]["name"] == "relu")
    mains = [run for run in made.runs if run != other]
    for run in mains[:3]:
        made.finish(run)
    made.measure(next(job for job in expansion.measurements.values() if job.run == mains[0].id))
    found = status(made.study, expansion, made.store)
    assert list(found["figures"]) == ["curve", "step"]
    assert found["figures"]["curve"]["runs"]["done"] == 3
    assert found["figures"]["curve"]["runs"]["missing"] == len(mains) - 3
    assert found["figures"]["curve"]["measurements"] == {"done": 0, "of": 0}
    assert found["figures"]["step"]["measurements"] == {"done": 1, "of": len(mains)}
    assert found["runs"]["missing"] == len(mains) - 3 + 1
    assert not found["figures"]["curve"]["drawn"]


def test_a_damaged_measurement_is_named_and_not_counted(made: Made) -> None:
    expansion = made.expansion
    for run in made.runs:
        made.finish(run)
    first, *others = expansion.measurements.values()
    for job in (first, *others):
        made.measure(job)
    path = made.store.measurement(str(first.run), first.id)
    path.write_text(path.read_text()[:-9])
    found = status(made.study, expansion, made.store)
    assert found["figures"]["step"]["measurements"] == {"done": len(others), "of": len(others) + 1}
    (damaged,) = found["damaged"]
    assert damaged["measurement"] == first.id
    assert f"{path}: the measurement is not readable" in damaged["problem"]
    assert f"damaged {first.id}: {path}: " in made.call("status")
    assert "1 measurement: " in made.call("explain", first.id)
    (line,) = damage(made.store, expansion)
    assert line == damaged["problem"]
    assert line.endswith("delete the file and measure the run again")
    for run in made.runs:
        made.store.result(run.id).write_text("{}")
    lines = damage(made.store, expansion)
    assert len(lines) == 11
    assert lines[-1] == f"and {len(made.runs) - 9} more: python -m nmepkg status --json"


def test_time_to_go_is_that_of_the_runs_most_alike(made: Made) -> None:
    runs = made.expansion.runs
    sam = [id for id, run in runs.items() if run.spec["method"]["name"] == "sam"]
    psam = [id for id, run in runs.items() if run.spec["method"]["name"] == "psam"]
    missing = {id: State("missing") for id in runs}

    def to_go(**states: State) -> tuple[float, float, int]:
        spent, left, unknown = device_seconds({**missing, **dict(zip(order, states.values(), strict=True))}, runs)
        return spent, left, len(unknown)

    order = [sam[0], sam[1]]
    spent, left, unknown = to_go(a=State("done", 10.0), b=State("done", 30.0))
    assert (spent, unknown) == (40.0, 0)
    assert left == 20.0 * (len(runs) - 2), "the median of all that is finished, where nothing is more alike"
    order = [sam[0], psam[0]]
    spent, left, unknown = to_go(a=State("done", 10.0), b=State("done", 50.0))
    others = len(runs) - len(sam) - len(psam)
    assert left == 10.0 * (len(sam) - 1) + 50.0 * (len(psam) - 1) + 30.0 * others
    order = [sam[0], sam[1]]
    spent, left, unknown = to_go(a=State("done", 10.0), b=State("running", 4.0, 7.0))
    assert (spent, left) == (14.0, 7.0 + 10.0 * (len(runs) - 2))
    spent, left, unknown = to_go(a=State("done", 10.0), b=State("stopped", 4.0))
    assert left == 6.0 + 10.0 * (len(runs) - 2), "what a stopped one has done is done"
    assert device_seconds(missing, runs) == (0.0, 0.0, list(runs))


def test_a_setups_own_estimate_serves_until_runs_are_finished(made: Made) -> None:
    assert status(made.study, made.expansion, made.store)["estimates"] == {}
    made.edit("    data:", "    device_hours: 2\n    device: A100\n    data:")
    made.finish(made.runs[0], status="diverged")  # says nothing of how long others take
    left = made.runs[1:]
    found = status(made.study, made.expansion, made.store)
    costs = {"sgd": 1, "sam": 2, "psam": 3}
    hours = 2 * sum(costs[run.spec["method"]["name"]] for run in left)
    assert found["estimates"] == {"mlp": {"runs": len(left), "device_hours": hours, "device": "A100"}}
    assert found["device_hours"]["unknown_runs"] == 0
    text = made.call("status")
    assert (
        f"estimates of device time, until runs alike are finished:\n  mlp: {len(left)} runs, {hours} h on A100\n"
        in text
    )
    made.finish(made.runs[1], seconds=36)
    found = status(made.study, made.expansion, made.store)
    assert found["estimates"] == {}, "a finished run gives a better one"
    assert found["device_hours"]["to_go"] > 0


@pytest.mark.parametrize(
    ("method", "cost"),
    [({"name": "sgd"}, 1), ({"name": "psam"}, 3), ({"name": "hessian_trace", "samples": 5}, 1 + 5 * 3.6)],
)
def test_what_a_step_costs(method: dict[str, Any], cost: float) -> None:
    assert METHODS[method["name"]].step_cost(method) == pytest.approx(cost)


def test_a_sum_over_basis_vectors_costs_a_sample_a_parameter() -> None:
    method = {"name": "hessian_trace", "samples": 1, "probe": "basis"}
    assert METHODS["hessian_trace"].step_cost(method, 100) == pytest.approx(1 + 100 * 3.6)


@pytest.mark.parametrize("arguments", [("status",), ("status", "--json")])
def test_the_command_tells_running_and_failed_runs_with_their_logs(made: Made, arguments: tuple[str, ...]) -> None:
    running, failed, *_ = made.runs
    made.unfinished(running, "running")
    made.unfinished(failed, "failed", error="no space left")
    with made.training(running):
        text = made.call(*arguments)
    assert f"logs/train/{failed.id}.log" in text
    assert "no space left" in text
    if "--json" in arguments:
        found = json.loads(text)
        assert [run["run"] for run in found["running"]] == [running.id]
        assert found["device_hours"] == {"spent": 24 / 3600, "to_go": 18 / 3600, "unknown_runs": len(made.runs) - 1}
    else:
        assert f"running {running.id}: epoch 4 of 10, 18 s left" in text
        assert f"device time: 24 s spent, about 18 s to go, and {len(made.runs) - 1} runs like none" in text


def test_in_80_columns_no_header_is_cut(made: Made) -> None:
    """With a run of every status, measurements, and names as long as the default study's."""
    running, stopped, failed, damaged, diverged, done, *_ = made.runs
    made.edit("  curve: {", "  figure_10: {")
    made.unfinished(running, "running")
    made.unfinished(stopped, "stopped")
    made.unfinished(failed, "failed", error="no space left")
    made.finish(damaged)
    made.store.result(damaged.id).write_text("{}")
    made.finish(diverged, status="diverged")
    made.finish(done)
    output = io.StringIO()
    with made.training(running):
        found = status(made.study, made.expansion, made.store)
    terminal.show_status(Console(file=output, width=80, soft_wrap=True), found)
    header = next(line for line in output.getvalue().splitlines() if line.startswith("figure "))
    assert header.split() == ["figure", *STATUSES, "computed", "drawn"]
    row = next(line for line in output.getvalue().splitlines() if line.startswith("step "))
    assert row.split() == ["step", "1", "1", "1", "1", "1", "1", "4", "0/10", "no"]
    assert all(len(line) <= 80 for line in output.getvalue().splitlines() if line.startswith(("figure", "step", "all")))


def test_an_unreadable_study_is_one_line(made: Made) -> None:
    made.edit("version: 1", "version: 99")
    assert made.call("status", code=2).count("\n") == 1
