"""Why things would run. Which things, is compared with Snakemake's plan in tests/workflow/test_invalidation.py."""

from __future__ import annotations

import numpy as np

from nmepkg import records
from nmepkg.data.store import KIND
from nmepkg.planning.plan import Plan
from nmepkg.runs.expansion import Run
from nmepkg.runs.figure_identity import figure_identity, origin_identity, page_identity
from nmepkg.runs.fingerprint import module_hashes
from nmepkg.runs.identity import data_targets, modules, run_id, run_targets
from nmepkg.storage import CODE, FIGURE, ORIGIN, PAGE, figure_record
from nmepkg.upkeep.differences import Neighbours, changes, compared_modules, leaves
from nmepkg.upkeep.explain import Reason, explain
from tests.upkeep.made import OLD, Made


def reasons(made: Made, what: str = "run") -> dict[str, Reason]:
    return {reason.id: reason for reason in explain(made.study, made.expansion, made.store) if reason.what == what}


def test_without_a_finished_run_everything_is_new(made: Made) -> None:
    found = reasons(made)
    assert found.keys() == made.expansion.runs.keys()
    assert {reason.kind for reason in found.values()} == {"new"}
    assert {reason.detail for reason in found.values()} == {"no run in this store is finished"}


def test_a_new_run_is_compared_with_its_nearest_neighbour(made: Made) -> None:
    for run in made.runs:
        made.finish(run)
    assert reasons(made) == {}
    made.edit("seeds: [0, 1]", "seeds: [0, 1, 7]")
    made.edit("rho: [0, 0.1, 0.2]", "rho: [0, 0.1, 0.2, 0.4]")
    for run, reason in reasons(made).items():
        spec = made.expansion.runs[run].spec
        here = {place: (there, value) for place, there, value in reason.changes}
        assert here.keys() <= {"seed", "method.strength"}
        if "seed" in here:
            assert here["seed"][1] == spec["seed"] == 7
        if "method.strength" in here:
            assert here["method.strength"][1] == spec["method"]["strength"] == 0.4
        assert reason.neighbour is not None
        assert f"-{spec['method']['name']}-" in reason.neighbour


def test_a_run_of_other_code_names_the_module(made: Made) -> None:
    run = made.runs[0]
    old = made.by_other_code(run, changed="nmepkg.training.loop")
    reason = reasons(made)[run.id]
    assert (reason.kind, reason.neighbour, reason.modules) == ("code", old.id, ("nmepkg.training.loop",))
    made.store.code(OLD).unlink()
    assert reasons(made)[run.id].modules == (f"unknown modules of code {OLD}",)


def test_a_run_on_data_by_other_code_names_the_module(made: Made) -> None:
    run, data = made.runs[0], "mnist1d-before"
    old = Run(run_id(run.spec, run.code, data), run.spec, run.code, data)
    made.finish(old)
    reason = reasons(made)[run.id]
    assert (reason.kind, reason.neighbour, reason.modules) == ("data", old.id, (f"unknown modules of data {data}",))
    hashes = {**module_hashes(modules(data_targets(run.spec["data"]))), "nmepkg.data.mnist1d": "before"}
    records.write(made.store.code(OLD), CODE, {"code": OLD, "targets": [], "modules": hashes})
    records.write(made.store.data(data).with_suffix(".json"), KIND, {"code": OLD})
    assert reasons(made)[run.id].modules == ("nmepkg.data.mnist1d",)


def test_failed_and_stopped_runs_name_their_logs(made: Made) -> None:
    failed, stopped, *_ = made.runs
    made.unfinished(failed, "failed", error="no space left")
    made.unfinished(stopped, "stopped")
    found = reasons(made)
    assert found[failed.id].detail == f"no space left; log: {made.store.root}/logs/train/{failed.id}.log"
    assert found[stopped.id].detail.startswith("stopped after epoch 4 of 10, to go on from there; log: ")


def test_a_run_that_lost_a_file_says_which(made: Made) -> None:
    for run in made.runs:
        made.finish(run)
    lost = made.runs[0]
    made.store.params(lost.id).unlink()
    assert list(reasons(made)) == [lost.id]
    assert reasons(made)[lost.id].kind == "deleted"
    assert reasons(made)[lost.id].detail == f"{made.store.params(lost.id)} is gone, so it is trained again"
    assert f"{made.store.params(lost.id)} is gone" in made.call("explain")


def test_a_run_that_kept_too_little_for_a_measurement_says_what(made: Made) -> None:
    """What is measured asks for nothing any more, and what was kept besides does not matter."""
    made.edit("at: [final]", "at: [2]")
    for run in made.runs:
        made.finish(run)
    measured, *_, other = made.expansion.measurements.values()
    made.measure(measured)
    found = reasons(made)
    assert measured.run not in found
    assert found[str(other.run)] == Reason(
        "run", str(other.run), "snapshots", detail="it kept no parameters of step 2, so it is trained again"
    )
    assert f"{len(found)} runs: it kept no parameters of step 2, so it is trained again" in made.call("explain")
    assert f"again {len(found)} runs are trained once more: it kept no parameters of step 2\n" in made.call("status")
    plan = Plan(made.study, {})
    plan.look()
    assert plan.again == found.keys()
    assert plan.assignment("train", str(other.run)).job.snapshots == (2,)
    made.edit("at: [2]", "at: [final]")
    assert reasons(made) == {}


def test_where_figures_come_from_is_collected_for_the_report(made: Made) -> None:
    (found,) = reasons(made, "origin").values()
    assert (found.kind, found.detail) == ("inputs", "2 figures come first")
    for run in made.runs:
        made.finish(run)
    for job in made.expansion.measurements.values():
        made.measure(job)
    folder = made.folder / "results" / "figures" / "tiny"
    for name in made.study.figures:
        draw(made, name)
    page, found = explain(made.study, made.expansion, made.store)
    assert [(reason.what, reason.kind) for reason in (page, found)] == [("page", "new"), ("origin", "new")]
    assert "1 origin of the figures: not made yet of the figures as they are" in made.call("explain")
    shown = page_identity(made.study, made.expansion)
    records.write(figure_record(folder, "page", shown["digest"]), PAGE, {**shown, "files": {"index.html": ""}})
    assert [reason.kind for reason in reasons(made, "page").values()] == ["deleted"]
    (folder / "index.html").touch()
    now = origin_identity(made.study, made.expansion)
    content = {**now, "files": {"study.yaml": "", "versions.csv": ""}}
    records.write(figure_record(folder, "origin", now["digest"]), ORIGIN, content)
    assert [reason.kind for reason in reasons(made, "origin").values()] == ["deleted"]
    for name in content["files"]:
        (folder / name).touch()
    assert explain(made.study, made.expansion, made.store) == []
    made.edit("epochs: 10", "epochs: 10.0")
    made.edit("name: tiny\n", "# A comment.\nname: tiny\ncheckpoints: {seconds: 3}\n")
    assert explain(made.study, made.expansion, made.store) == []
    made.edit("  step: {kind", "  unused: {kind: traces, at: [final]}\n  step: {kind")
    (found,) = explain(made.study, made.expansion, made.store)
    assert (found.what, found.detail) == ("origin", "changed since it was made: study")


def draw(made: Made, name: str) -> None:
    """Leaves what drawing a figure leaves."""
    folder, figure = made.folder / "results" / "figures" / "tiny", made.study.figures[name]
    identity = figure_identity(made.study, made.expansion, figure)
    records.write(figure_record(folder, name, identity["digest"]), FIGURE, {**identity, "files": {f"{name}.csv": ""}})
    (folder / f"{name}.csv").touch()


def test_measurements_follow_their_runs_and_their_own_code(made: Made) -> None:
    first, second, *_ = made.expansion.measurements.values()
    assert reasons(made, "measurement")[first.id].kind == "inputs"
    for run in made.runs:
        made.finish(run)
    made.measure(first)
    made.measure(second, id="alignment-before")
    found = reasons(made, "measurement")
    assert first.id not in found
    assert (found[second.id].kind, found[second.id].neighbour) == ("code", "alignment-before")
    third = list(made.expansion.measurements)[2]
    assert (found[third].kind, found[third].neighbour) == ("new", None)


def test_the_command_groups_like_reasons_and_takes_runs_and_figures(made: Made) -> None:
    for run in made.runs:
        made.finish(run)
    made.edit("seeds: [0, 1]", "seeds: [0, 1, 7, 8]")
    text = made.call("explain")
    assert "10 runs: seed is 7, 8 (nearest: " in text
    assert "… and 7 more" in text
    new = next(run for run in made.runs if run.spec["seed"] == 8)
    assert new.id in made.call("explain", new.id[:-4])
    assert "10 runs" in made.call("explain", "curve")
    assert made.call("explain", "figure_x", code=2).startswith("nmepkg: figure_x: no figure, run or measurement of ")


def test_the_nearest_is_that_of_fewest_differences() -> None:
    """Against the plain definition, on random specs."""
    rng = np.random.default_rng(0)

    def spec() -> dict[str, object]:
        return {
            "a": {str(i): int(rng.integers(3)) for i in rng.choice(6, 4, replace=False)},
            "b": [int(rng.integers(2))],
            "seed": int(rng.integers(4)),
        }

    specs = {str(i): spec() for i in range(30)}
    neighbours = Neighbours(specs)
    for _ in range(200):
        asked = spec()
        # A place that only the new one has is a difference from all alike.
        known = {place for other in specs.values() for place in leaves(other)}

        def distance(id: str, asked: dict[str, object] = asked, known: set[str] = known) -> int:
            return sum(place in known for place, _, _ in changes(leaves(specs[id]), leaves(asked)))

        nearest = neighbours.nearest(asked)
        assert nearest is not None
        assert nearest == min(specs, key=distance), "of equals the first"
    assert Neighbours({}).nearest(spec()) is None


def test_runs_that_differ_in_their_seed_are_compared_as_one() -> None:
    specs = {f"{width}-{seed}": {"width": width, "seed": seed} for width in (4, 8) for seed in range(100)}
    neighbours = Neighbours(specs)
    assert len(neighbours.rows) == 2
    assert neighbours.nearest({"width": 8, "seed": 7}) == "8-7"
    assert neighbours.nearest({"width": 8, "seed": 100}) == "8-0"


def test_modules_are_compared() -> None:
    assert compared_modules({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}) == [
        "b",
        "c (removed)",
        "d (added)",
    ]


def test_the_targets_of_a_run_are_its_own(made: Made) -> None:
    methods = {run.spec["method"]["name"]: run_targets(run.spec) for run in made.runs}
    assert any("gradient_penalties" in target for target in methods["psam"])
    assert not any("gradient_penalties" in target for target in methods["sam"])
