"""From a spec to a file that the analysis reads, by function and by script."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nmepkg import records
from nmepkg.analysis.landscapes import read_landscape
from nmepkg.errors import UserError
from nmepkg.landscape.compute import compute
from nmepkg.landscape.record import record
from nmepkg.runs.identity import code_hash, landscape_id, landscape_targets
from nmepkg.specs import landscape
from nmepkg.storage import CODE, Store
from tests.jobs import job_file
from tests.landscape.specs import spec

SCRIPT = Path(__file__).resolve().parents[2] / "workflow" / "scripts" / "landscape.py"
SMALL = spec(points=3)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record(SMALL, tmp_path / "new" / "plane.npz", code="c0de")
    read = read_landscape(tmp_path / "new" / "plane.npz", SMALL)
    expected = compute(landscape(SMALL))
    assert set(read.arrays) == set(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(read.arrays[key], values)
    assert read.provenance["code"] == "c0de"
    assert read.provenance["jax"] == jax.__version__
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plane.npz"]  # no temporary file stays


def test_a_landscape_that_does_not_exist_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="layer: 9"):
        record(spec(layer=9), tmp_path / "plane.npz", code="c0de")
    assert not list(tmp_path.iterdir())


def _script(tmp_path: Path, chosen: dict[str, Any]) -> tuple[str, str, subprocess.CompletedProcess[str]]:
    """(id, hash of its code, what the script did) of a landscape as planned."""
    code = code_hash(landscape_targets(chosen))
    name = landscape_id(chosen, code)
    job = job_file(tmp_path, "store", name, chosen, code)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--job", str(job)], cwd=tmp_path, capture_output=True, text=True
    )
    return name, code, done


def test_the_script_writes_it_and_keeps_what_it_compiled(tmp_path: Path) -> None:
    name, code, done = _script(tmp_path, SMALL)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "store")
    read = read_landscape(store.landscape(name), SMALL)
    assert read.arrays["loss"].shape == (3, 3)
    assert read.provenance["code"] == code
    assert "nmepkg.landscape.compute" in records.read(store.code(code), CODE, {"code": code})["modules"]
    assert any(store.compiled.rglob("*-cache"))


def test_the_script_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    name, _, done = _script(tmp_path, spec(layer=9))
    assert done.returncode == 2
    assert done.stderr == f"failed: {name}: layer: 9 is no hidden layer of a model of depth 2; they count from 1\n"


def test_nothing_is_written_where_the_code_is_not_verified(tmp_path: Path) -> None:
    def verify() -> None:
        raise UserError("the code changed")

    with pytest.raises(UserError, match="the code changed"):
        record(SMALL, tmp_path / "plane.npz", code="c0de", verify=verify)
    assert not list(tmp_path.iterdir())
