"""Snakemake, its group or a job is killed at each rule: ONE more call ends complete, and computes nothing that was there."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from tests.workflow.forks import Fork
from tests.workflow.kills import processes, results
from tests.workflow.project import Project

STUDY = """\
version: 1
name: tiny
setups:
  alone:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 4, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
  packed:
    data: {name: mnist1d, samples: 200}
    model: {name: mlp, width: 3, depth: 1}
    optimizer: {learning_rate: 0.1}
    training: {epochs: 1, batch_size: 16}
    runs_per_job: 2
measurements:
  step: {kind: alignment, at: [final], examples: 16}
landscapes:
  plane:
    model: {name: mlp, width: 2, depth: 1}
    inputs: 2
    activations: [relu]
    weights: [[0, 0], [1, 0]]
    range: [-1, 1]
    points: 3
experiments:
  first: {setups: [alone], methods: [sam], activations: [gelu], rho: [0.1], seeds: [0], measurements: [step]}
  second: {setups: [packed], methods: [sam], activations: [relu], rho: [0, 0.1], seeds: [0]}
figures:
  curve: {experiments: [first, second], x: rho, rows: setup, lines: activation}
  step: {experiments: [first], measurement: step, x: rho, y: norm_H}
  plane: {kind: landscape, landscape: plane}
claims:
  flat: {figure: plane, says: No diagonal, a: {activation: relu, y: largest_norm_N_layer}, b: 0, expect: equal, smallest: 1}
"""

# A job says that it has begun, and is held at its beginning or at its end, when all is written.
HELD = """
import atexit as _atexit, os as _os, sys as _sys, time as _time
_name = Path(_sys.argv[0]).stem

def _hold(when):
    while Path("hold").exists() and Path("hold").read_text() == f"{_name} {when}":
        Path("held").write_text(str(_os.getpid()))
        _time.sleep(0.02)

if "--multiprocessing-fork" not in _sys.orig_argv:
    Path("begun").mkdir(exist_ok=True)
    Path("begun", f"{_name}.{_os.getpid()}").touch()
    _hold("begin")
    _atexit.register(_hold, "end")
"""

# Of each rule: its script, and what of a finished study is gone when it runs.
RULES = {
    "data": ("prepare_data", ("data", "runs", "measurements", "figures")),
    "train": (
        "train",
        ("runs/*-mlp-sam-0.1-gelu-s0-*/*", "measurements", "figures/tiny/*curve*", "figures/tiny/*step*"),
    ),
    "train_again": ("train", ("runs/*/params.npz",)),
    "train_together": ("train_together", ("runs", "measurements", "figures")),
    "measure": ("measure", ("measurements", "figures/tiny/*step*")),
    "landscape": ("landscape", ("landscapes", "figures/tiny/*plane*")),
    "draw": ("figure", ("figures",)),
    "claims": ("claims", ("claims/tiny.csv", "figures/tiny/records/claims")),
    "page": ("page", ("figures/tiny/index.html",)),
    "origin": ("origin", ("figures/tiny/records/origin", "figures/tiny/study.yaml")),
}
JOBS = {
    "data": "prepare_data",
    "measurement": "measure",
    "landscape": "landscape",
    "figure": "figure",
    "claims": "claims",
    "page": "page",
    "origin": "origin",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("finished"))
    project.write("study.yaml", STUDY)
    name = "workflow/scripts/job.py"
    project.edit(name, "from nmepkg import surroundings\n", f"{HELD}\nfrom nmepkg import surroundings\n")
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return finished.copy(tmp_path)


def lose(project: Project, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        found = list((project.folder / "results").glob(pattern))
        assert found, pattern
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def there(project: Project) -> dict[Path, tuple[int, int]]:
    """What is finished, and which file it is."""
    places = ("data", "runs", "measurements", "landscapes", "claims", "figures")
    paths = [path for place in places for path in (project.folder / "results" / place).rglob("*") if path.is_file()]
    states = {path: path.stat() for path in paths if not path.name.startswith(".")}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in states.items()}


def wait_for(condition: Callable[[], object], workflow: Fork | None = None) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        assert workflow is None or workflow.poll() is None
        time.sleep(0.02)


def kill(project: Project, rule: str, what: str, when: str) -> None:
    """Has Snakemake work up to a rule's first job, and what is to be killed there killed."""
    script, _ = RULES[rule]
    held = project.folder / "held"
    project.write("hold", f"{script} {when}")
    workflow = project.start("all", "--cores", "1")
    wait_for(lambda: held.exists() and held.read_text(), workflow)
    if what == "snakemake":
        os.kill(workflow.pid, signal.SIGKILL)
        workflow.wait(timeout=120)
        time.sleep(0.1)
    elif what == "group":
        os.killpg(workflow.pid, signal.SIGKILL)
    else:
        os.kill(int(held.read_text()), signal.SIGKILL)
    (project.folder / "hold").unlink()
    workflow.wait(timeout=120)
    wait_for(lambda: not list(processes(project)))


def complete(project: Project, finished: Project) -> None:
    """One more call, and what it may do."""
    reasons = project.nmepkg("explain")
    expected = Counter(JOBS[reason["what"]] for reason in reasons if reason["what"] != "run")
    setups = expand(load(project.folder / "study.yaml")).setup_of()
    missing = [setups[reason["id"]] for reason in reasons if reason["what"] == "run"]
    expected += Counter({"train": missing.count("alone"), "train_together": int("packed" in missing)})
    before = there(project)
    shutil.rmtree(project.folder / "begun", ignore_errors=True)
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    assert begun(project) == expected, done.stdout
    after = there(project)
    changed = {path.relative_to(project.folder / "results") for path in before if after.get(path) != before[path]}
    again = {reason["id"] for reason in reasons if reason["what"] == "run"}  # of these something was gone
    assert not {
        path for path in changed if path.parts[0] not in ("figures", "claims") and path.parts[1] not in again
    }, done.stdout
    assert results(project) == results(finished)
    assert project.nmepkg("explain") == []
    assert "Nothing to be done" in project.snakemake("all").stdout


def begun(project: Project) -> Counter[str]:
    """How many jobs have begun since the folder was removed, by script."""
    return Counter(path.stem for path in project.folder.glob("begun/*"))


# The others with `make soak`: each takes some twenty seconds.
ALWAYS = {
    ("data", "snakemake", "begin"),
    ("train", "snakemake", "end"),
    ("train_together", "group", "end"),
    ("measure", "group", "end"),
}
CASES = [
    pytest.param(*case, marks=() if case in ALWAYS else pytest.mark.soak)
    for case in itertools.product(RULES, ("snakemake", "group", "job"), ("begin", "end"))
]


@pytest.mark.parametrize(("rule", "what", "when"), CASES)
def test_one_more_call_completes(finished: Project, project: Project, rule: str, what: str, when: str) -> None:
    lose(project, RULES[rule][1])
    kill(project, rule, what, when)
    complete(project, finished)


SPELLINGS = ("results/", "./results", "{}/results", "link", "link/../results")


def test_where_the_store_is_and_what_the_study_is_called_decide_nothing(project: Project) -> None:
    """After a kill, by which Snakemake remembers what was not finished under another name, or in another place."""
    lose(project, ("data", "runs/*-mlp-sam-0.1-gelu-s0-*/*", "figures/tiny/*curve*"))
    kill(project, "data", "snakemake", "begin")
    project.edit("study.yaml", "rho: [0.1], seeds", "rho: [0.1, 0.2], seeds")
    expected = project.plan("figures")
    data, runs, figures = expected
    assert (data, len(runs), figures) == (set(), 2, {"curve", "step"})
    (project.folder / "link").symlink_to("results", target_is_directory=True)
    text = (project.folder / "study.yaml").read_text()
    for spelling in SPELLINGS:
        store = spelling.format(project.folder)
        project.write("study.yaml", text.replace("name: tiny\n", f"name: tiny\nstore: {store}\n"))
        assert project.plan("figures") == expected, spelling
    (project.folder / "study.yaml").unlink()
    (project.folder / "results").rename(project.folder / "elsewhere")
    (project.folder / "results").mkdir()
    for name in ("figures", "claims"):
        (project.folder / "elsewhere" / name).rename(project.folder / "results" / name)
    project.write("renamed.yaml", text.replace("name: tiny\n", "name: tiny\nstore: elsewhere\n"))
    assert project.plan("figures", study="renamed.yaml") == expected
    shutil.rmtree(project.folder / "begun")
    done = project.snakemake("figures", study="renamed.yaml")
    assert done.returncode == 0, done.stdout
    # One measurement is there; its run was not, so that Snakemake has it looked at.
    assert begun(project) == {"train": 2, "measure": 2, "figure": 2, "page": 1}, done.stdout
    assert "measured already: nothing to do" in "".join(
        map(Path.read_text, project.folder.glob("results/logs/measure/*/*"))
    )
    assert "Nothing to be done" in project.snakemake("figures", study="renamed.yaml").stdout
