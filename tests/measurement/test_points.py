"""What is measured where: the model of a run, its data, and the points of its training."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmepkg import losses, records, specs
from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.files import file_sha256
from nmepkg.measurement import measure as measuring
from nmepkg.measurement import points
from nmepkg.registry import MEASUREMENTS
from nmepkg.runs.identity import code_hash, data_id, measurement_id, measurement_targets, run_id, run_targets
from nmepkg.storage import CODE, MEASUREMENT, RESULT, Store
from nmepkg.study.canonical import canonical_measurement
from nmepkg.study.checks import check_entry
from nmepkg.training import train as training
from nmepkg.training.result import read_state
from tests.jobs import job_file
from tests.training.runs import CLASSES, dataset, make_spec, prepared, start

ROOT = Path(__file__).parents[2]


def measurement(kind: str = "alignment", second_derivative: Any = None, **options: Any) -> dict[str, Any]:
    spec = check_entry("measurement", {"kind": kind, **options}, "", key="kind")
    return canonical_measurement(spec, {"second_derivative": second_derivative})


def silent(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


SPEC = make_spec(validation={"fraction": 0.0})
WILD = make_spec(
    model={"batch_norm": False},
    optimizer={"learning_rate": 1e30},
    training={"epochs": 3},
    validation={"fraction": 0.0},
)


def trained(spec: dict[str, Any], data: Path, folder: Path, snapshots: tuple[int, ...]) -> Path:
    training.train(training.Task("some-run", spec, "abc", folder, data, snapshots=snapshots), stream=io.StringIO())
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(SPEC, data, tmp_path_factory.mktemp("run"), (1, 4))


@pytest.fixture(scope="module")
def diverged(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(WILD, data, tmp_path_factory.mktemp("wild"), (1, 9))


def measure(spec: dict[str, Any], folder: Path, data: Path, out: Path, **options: Any) -> dict[str, Any]:
    result = records.read(folder / "result.json", RESULT, {})
    task = measuring.Task("some-measurement", spec, "def", result, folder, data, out)
    returned = measuring.measure(task, stream=io.StringIO(), **options)
    assert records.read(out, MEASUREMENT, {}) == {"format": MEASUREMENT.format, **returned}

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(out.read_text(), parse_constant=refuse)


def gradient_norm(variables: tuple[Any, Any], batches: list[np.ndarray], train: bool) -> float:
    """By plain autodiff: the mean over batches of the norm of each one's gradient."""
    from nmepkg import activations
    from nmepkg.models.mlp import MLP

    params, stats = variables
    model = MLP(CLASSES, activations.gelu, 4, 1, True)
    x, y = dataset().train

    def loss(params: Any, part: np.ndarray) -> Any:
        variables = {"params": params, "batch_stats": stats}
        if train:
            logits, _ = model.apply(variables, x[part], train=True, mutable=["batch_stats"])
        else:
            logits = model.apply(variables, x[part], train=False)
        return losses.cross_entropy(logits, jnp.asarray(y[part]))

    norms = []
    for part in batches:
        leaves = jax.tree.leaves(jax.grad(loss)(params, part))
        norms.append(math.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in leaves)))
    return float(np.mean(norms))


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_every_point_is_measured_on_the_state_there(mode: str, finished: Path, data: Path, tmp_path: Path) -> None:
    spec = measurement(at=["initial", 1, 4, "final"], examples=20, batch_norm=mode, seed=3)
    result = measure(spec, finished, data, tmp_path / "m.json")
    assert [(p["at"], p["step"], p["status"]) for p in result["points"]] == [
        ("initial", 0, "measured"),
        (1, 1, "measured"),
        (4, 4, "measured"),
        ("final", 9, "measured"),
    ]
    order = np.random.default_rng(3).permutation(27)
    batches = [order[:8], order[8:16]]
    _, first, _ = start(SPEC, dataset())
    files = [finished / "snapshots/1.npz", finished / "snapshots/4.npz", finished / "params.npz"]
    states = [(first.params, first.batch_stats), *(read_state(file, file_sha256(file)) for file in files)]
    expected = [gradient_norm(state, batches, mode == "train") for state in states]
    found = [point["values"]["gradient_norm"] for point in result["points"]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_result_says_how_it_was_measured(finished: Path, data: Path, tmp_path: Path) -> None:
    spec = measurement(split="test", examples=None, batch_size=4)
    result = measure(spec, finished, data, tmp_path / "deep" / "m.json")
    assert list(result) == [
        *("format", "measurement", "run", "run_spec", "spec", "data", "points", "provenance", "sha256")
    ]
    assert (result["measurement"], result["run"], result["run_spec"]) == ("some-measurement", "some-run", SPEC)
    assert result["spec"] == spec
    sha256 = records.read(data.with_suffix(".json"), store.KIND, {})["arrays"]
    assert result["data"] == {
        "sha256": sha256, "split": "test", "examples": 8, "of": 9, "batch_size": 4, "batches": 2, "batch_norm_group": 4
    }  # fmt: skip
    assert result["provenance"]["code"] == "def"
    assert result["provenance"]["jax"] == jax.__version__


@pytest.mark.parametrize("kind", MEASUREMENTS)
def test_a_diverged_run_is_recorded_as_such(kind: str, diverged: Path, data: Path, tmp_path: Path) -> None:
    """Before the divergence a point is a point; at the end, and past it, there is no number and no crash."""
    steps = json.loads((diverged / "result.json").read_text())["diverged"]["step"]
    spec = measurement(kind, at=["initial", 9, "final"], examples=8)
    points = measure(spec, diverged, data, tmp_path / "m.json")["points"]
    assert [(p["at"], p["step"], p["status"]) for p in points] == [
        ("initial", 0, "measured"),
        (9, 9, "not_reached"),
        ("final", steps, "not_finite"),
    ]
    for quantity in MEASUREMENTS[kind].quantities:
        value = points[0]["values"][quantity]
        numbers = np.ravel(value).tolist()  # one, one a radius, or one for each point of a plane
        assert len(numbers) == (spec["points"] ** 2 if "points" in spec else len(spec.get("radii", [0])))
        assert all(isinstance(number, float) for number in numbers)
    assert points[1]["values"] is None
    assert points[2]["values"] is None


def test_a_diverged_run_has_no_final_numbers_even_where_its_parameters_are_finite(data: Path, tmp_path: Path) -> None:
    """A loss that overflows is the end of a training. Its last parameters would still see a second derivative somewhere."""
    spec = make_spec(
        model={"batch_norm": False},
        loss={"name": "mse"},
        optimizer={"learning_rate": 1e12, "warmup_epochs": 0.0},
        training={"batch_size": 27, "epochs": 2, "evaluate_every": 1},
        validation={"fraction": 0.0},
    )
    del spec["loss"]["label_smoothing"]
    folder = trained(spec, data, tmp_path / "run", ())
    params = np.load(folder / "params.npz")
    assert json.loads((folder / "result.json").read_text())["diverged"]["step"] == 1
    assert all(np.isfinite(params[name]).all() for name in params), "or this test is idle"
    (point,) = measure(measurement("second_derivative", examples=27), folder, data, tmp_path / "m.json")["points"]
    assert point == {"at": "final", "step": 1, "status": "not_finite", "values": None}


def test_data_that_the_run_was_not_trained_on_are_refused(finished: Path, data: Path, tmp_path: Path) -> None:
    """Prepared again, by another NumPy say, under the same id."""
    arrays = {name: array.copy() for name, array in np.load(data).items()}
    arrays["train_x"] = np.nextafter(arrays["train_x"], np.float32(np.inf))
    again = tmp_path / "toy.npz"
    store.write(again, arrays, {"name": "toy"}, code="da7a")
    with pytest.raises(UserError, match=r"toy\.npz: not the data that the run was trained on"):
        measure(measurement(), finished, again, tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_preactivations_are_the_inputs_of_the_activations() -> None:
    spec = make_spec(model={"batch_norm": False, "depth": 2}, activation={"name": "beta_gelu", "beta": 3.0})
    problem, _ = points.make_problem(specs.recipe(spec), specs.measurement(measurement()), dataset())
    x = problem.batches[0][0]
    _, state, _ = start(spec, dataset())
    context = {"batch_stats": {}, "beta": jnp.float32(3.0)}
    first, second = jax.jit(problem.preactivations_fn)(state.params, context, x)
    layers = state.params
    np.testing.assert_allclose(first, x @ layers["Dense_0"]["kernel"], rtol=1e-5, atol=1e-6)
    hidden = problem.activation(context, first)
    np.testing.assert_allclose(second, hidden @ layers["Dense_1"]["kernel"], rtol=1e-4, atol=1e-5)


def test_a_split_without_one_batch_is_refused(finished: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="7 examples of train fill no batch of 8; lower batch_size or raise examples"):
        measure(measurement(examples=7), finished, data, tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_a_missing_snapshot_of_a_run_that_got_there_is_refused(finished: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"the run kept no parameters of step 2; run snakemake again, which trains it anew"
    ):
        measure(measurement(at=[2]), finished, data, tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


CHANGED = r"1\.npz: changed since the run's result was written.*; delete its run's folder and train it again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path: path.unlink(),
            r"1\.npz: gone since its run was finished; run snakemake again, which trains that anew",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), CHANGED),
        (lambda path: shutil.copy(path.with_name("4.npz"), path), CHANGED),
    ],
    ids=["deleted", "truncated", "another"],
)
def test_a_snapshot_that_is_not_the_runs_is_refused(
    change: Callable[[Path], Any], message: str, finished: Path, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    change(copy / "snapshots" / "1.npz")
    with pytest.raises(UserError, match=message):
        measure(measurement(at=["initial", 1, "final"]), copy, data, tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_nothing_is_written_where_the_code_is_not_verified(finished: Path, data: Path, tmp_path: Path) -> None:
    def verify() -> None:
        raise UserError("the code changed")

    with pytest.raises(UserError, match="the code changed"):
        measure(measurement(at=["initial"]), finished, data, tmp_path / "m.json", verify=verify)
    assert not (tmp_path / "m.json").exists()


# The script, in a process of its own.


def script(where: Store, name: str, spec: dict[str, Any], code: str, run: str) -> subprocess.CompletedProcess[str]:
    job = job_file(where.root, where.root, name, spec, code, run)
    command = [sys.executable, ROOT / "workflow" / "scripts" / "measure.py", "--job", job]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def planned(spec: dict[str, Any]) -> str:
    """The id of a run by the code as it is."""
    return run_id(spec, code_hash(run_targets(spec)), data_id(spec["data"]))


def finish_as(run: str, folder: Path, where: Store) -> None:
    """The finished run of a folder in a store, under an id."""
    shutil.copytree(folder, where.run(run))
    content = records.read(folder / "result.json", RESULT, {})
    records.write(where.result(run), RESULT, {**content, "run": run})


def test_script_measures_a_run_of_its_store(finished: Path, data: Path, tmp_path: Path) -> None:
    where, spec = Store(tmp_path), measurement(at=["initial", 4])
    run = planned(SPEC)
    finish_as(run, finished, where)
    for suffix in (".npz", ".json"):  # the toy data in the place of those that the run's spec names
        target = where.data(data_id(SPEC["data"])).with_suffix(suffix)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(data.with_suffix(suffix), target)
    code = code_hash(measurement_targets(spec))
    name = measurement_id(spec, code, run)
    done = script(where, name, spec, code, run)
    assert done.returncode == 0, done.stderr
    expected = {"measurement": name, "run": run, "run_spec": SPEC, "spec": spec}
    content = records.read(where.measurement(run, name), MEASUREMENT, expected)
    assert content["provenance"]["code"] == code
    assert [point["status"] for point in content["points"]] == ["measured", "measured"]
    assert "nmepkg.measurement.points" in records.read(where.code(code), CODE, {"code": code})["modules"]


def test_a_run_of_other_code_than_the_models_now_is_not_measured(finished: Path, tmp_path: Path) -> None:
    """A job that was planned before an edit of the model would measure another model than was trained."""
    where, spec = Store(tmp_path), measurement(at=["initial"])
    run = run_id(SPEC, "0" * 16, data_id(SPEC["data"]))
    finish_as(run, finished, where)
    code = code_hash(measurement_targets(spec))
    name = measurement_id(spec, code, run)
    done = script(where, name, spec, code, run)
    assert done.returncode == 2
    assert done.stderr == (
        f"failed: {name}: code or data of the run {run} changed since this job was planned; run snakemake again\n"
    )
    assert not where.measurement(run, name).exists()


def test_script_in_one_line(tmp_path: Path) -> None:
    where = Store(tmp_path)
    done = script(where, "some-measurement", measurement(), "d", "some-run")
    assert done.returncode == 2
    assert done.stderr == (
        f"failed: some-measurement: {where.result('some-run')}: the result is not readable (No such file or directory); "
        f"delete the folder {where.run('some-run')} and train the run again\n"
    )
