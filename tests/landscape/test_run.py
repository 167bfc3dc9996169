"""From a spec to a file that the analysis reads, by function and by script."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from nmepkg.analysis.landscapes import read_landscape
from nmepkg.errors import UserError
from nmepkg.landscape.compute import compute
from nmepkg.landscape.run import run
from tests.landscape.specs import spec

SCRIPT = Path(__file__).resolve().parents[2] / "workflow" / "scripts" / "landscape.py"
SMALL = spec(points=3)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    run(SMALL, tmp_path / "new" / "plane.npz", code="c0de")
    read = read_landscape(tmp_path / "new" / "plane.npz", SMALL)
    expected = compute(SMALL)
    assert set(read.arrays) == set(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(read.arrays[key], values)
    assert read.provenance["code"] == "c0de"
    assert read.provenance["jax"] == jax.__version__
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plane.npz"]  # no temporary file stays


def test_a_landscape_that_does_not_exist_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="layer: 9"):
        run(spec(layer=9), tmp_path / "plane.npz", code="c0de")
    assert not list(tmp_path.iterdir())


def _script(tmp_path: Path, chosen: dict) -> subprocess.CompletedProcess[str]:
    arguments = ("--spec", json.dumps(chosen), "--code", "c0de", "--out", "plane.npz", "--cache", "cache")
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], cwd=tmp_path, capture_output=True, text=True)


def test_the_script_writes_it_and_keeps_what_it_compiled(tmp_path: Path) -> None:
    done = _script(tmp_path, SMALL)
    assert done.returncode == 0, done.stderr
    assert read_landscape(tmp_path / "plane.npz", SMALL).arrays["loss"].shape == (3, 3)
    assert any((tmp_path / "cache").rglob("*"))


def test_the_script_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    done = _script(tmp_path, spec(layer=9))
    assert done.returncode == 2
    assert done.stderr == "plane: layer: 9 is no hidden layer of a model of depth 2; they count from 1\n"
