"""A run as the workflow's script trains it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmepkg import records
from nmepkg.data import mnist1d, store
from nmepkg.runs.identity import code_hash, data_id, data_targets, run_id, run_targets
from nmepkg.storage import CODE, RESULT, Store
from nmepkg.study.canonical import canonical
from tests.jobs import job_file
from tests.training.files import same, strict
from tests.training.runs import make_spec, method

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "train.py"
# Trains as the script does, begun as scripts begin, without a cache.
WITHOUT = """
import io, json, sys
from pathlib import Path
sys.path.insert(0, "workflow/scripts")
import job
from nmepkg.training import train as training
*task, run, data = json.loads(sys.argv[1])
training.train(training.Task(*task, Path(run), Path(data)), stream=io.StringIO())
"""

DATA = {"name": "mnist1d", "seed": 42, "samples": 200}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that has 160 training examples."""
    made = Store(tmp_path_factory.mktemp("store"))
    store.write(made.data(data_id(DATA)), mnist1d.prepare(seed=42, samples=200), DATA, code_hash(data_targets(DATA)))
    return made


def copied(prepared: Store, root: Path, *more: str) -> Store:
    """A store with its data, and of the rest what is named."""
    for name in ("data", *more):
        shutil.copytree(prepared.root / name, root / name)
    return Store(root)


def planned(**changes: Any) -> tuple[str, dict[str, Any], str]:
    """(id, spec, code) of a run, as the workflow would plan it."""
    spec = canonical(make_spec(data=DATA, **changes))
    code = code_hash(run_targets(spec))
    return run_id(spec, code, data_id(DATA)), spec, code


def script(job: tuple[str, dict[str, Any], str], where: Store) -> subprocess.CompletedProcess[str]:
    name, spec, code = job
    return subprocess.run(
        [sys.executable, SCRIPT, "--job", job_file(where.root.parent, where.root, name, spec, code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def compilations(where: Store) -> set[str]:
    return {path.name for path in where.compiled.rglob("*-cache")}


@pytest.fixture(scope="module")
def filled(prepared: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, tuple[str, dict[str, Any], str]]:
    """A store whose cache was empty before the script trained this run."""
    fills, job = copied(prepared, tmp_path_factory.mktemp("filled") / "store"), planned(method=method("psam", 0.1))
    process = script(job, fills)
    assert process.returncode == 0, process.stderr
    return fills, job


def test_processes_agree_to_the_bit_and_share_compilations(filled: Any, prepared: Store, tmp_path: Path) -> None:
    """Once into an empty cache, once from it, once without; then a run that differs in numbers alone compiles nothing."""
    fills, job = filled
    name, spec, code = job
    first = compilations(fills)
    assert first
    reads = copied(fills, tmp_path / "reads", "cache")
    assert script(job, reads).returncode == 0
    assert compilations(reads) == first
    without = copied(prepared, tmp_path / "without")
    task = [name, spec, code, str(without.run(name)), str(without.data(data_id(DATA)))]
    subprocess.run([sys.executable, "-c", WITHOUT, json.dumps(task)], cwd=ROOT, check=True, timeout=120)
    assert not without.compiled.exists()

    results = [same(strict(where.result(name))) for where in (fills, reads, without)]
    assert results[0] == results[1] == results[2]
    contents = [(where.run(name) / "params.npz").read_bytes() for where in (fills, reads, without)]
    assert contents[0] == contents[1] == contents[2]

    other = planned(
        method=method("psam", 0.4), optimizer={"learning_rate": 0.02, "weight_decay": 0.0, "warmup_epochs": 0.0}, seed=5
    )
    assert script(other, fills).returncode == 0
    assert compilations(fills) == first
    assert strict(fills.result(other[0]))["final"] != results[0]["final"]


def test_script_records_what_its_code_is(filled: Any) -> None:
    where, (name, spec, code) = filled
    result = records.read(where.result(name), RESULT, {"run": name, "spec": spec})
    assert result["provenance"]["code"] == code
    described = records.read(where.code(code), CODE, {"code": code})
    assert {"nmepkg.training.loop", "nmepkg.models.mlp"} <= set(described["modules"])
    assert "nmepkg.models.resnet1d" not in described["modules"]


def test_script_refuses_damaged_data_in_one_line(prepared: Store, tmp_path: Path) -> None:
    where, job = copied(prepared, tmp_path / "store"), planned()
    damaged = where.data(data_id(DATA))
    damaged.write_bytes(damaged.read_bytes()[:-50])
    process = script(job, where)
    assert process.returncode == 2
    assert re.fullmatch(
        rf"failed: {job[0]}: {re.escape(str(damaged))}: .*not readable \(.*\); delete .*\n", process.stderr
    )
    assert not where.result(job[0]).exists()
    state = strict(where.run(job[0]) / "state.json")
    assert state["status"] == "failed"
    assert process.stderr == f"failed: {job[0]}: {state['error']}\n"


def test_script_refuses_a_batch_larger_than_the_data_in_one_line(prepared: Store, tmp_path: Path) -> None:
    where, job = copied(prepared, tmp_path / "store"), planned(training={"batch_size": 129})
    process = script(job, where)
    assert process.returncode == 2
    assert process.stderr == f"failed: {job[0]}: training.batch_size: 129 is more than the 128 examples to train on\n"
    assert not where.result(job[0]).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, spec, code: (name, spec, code[::-1]), "the code changed since this job was planned"),
        (lambda name, spec, code: (f"{name}0", spec, code), "planned as another job"),
        (lambda name, spec, code: (name, {**spec, "seed": 7}, code), "planned as another job"),
        (lambda name, spec, code: (name, {"seed": 7}, code), "the spec is not canonical"),
    ],
)
def test_script_refuses_what_it_was_not_planned_as_in_one_line(
    change: Callable[..., tuple[str, dict[str, Any], str]], message: str, tmp_path: Path
) -> None:
    job = change(*planned())
    process = script(job, Store(tmp_path / "store"))
    assert process.returncode == 2
    assert process.stderr.startswith(f"failed: {job[0]}: {message}")
    assert process.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()
