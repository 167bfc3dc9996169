"""What the doctor finds of a machine, and what it calls unusual."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmepkg.planning import doctor

ROOT = Path(__file__).parents[2]


def test_it_tells_versions_devices_settings_and_what_is_unusual(tmp_path: Path) -> None:
    """Also where there is no study, and with variables that jobs leave out, or record."""
    (tmp_path / "study.yaml").write_text("version: 1\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_ENABLE_X64": "1", "NVIDIA_TF32_OVERRIDE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "nmepkg", "doctor", "--study", "study.yaml", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["devices"] == ["cpu: cpu"]
    assert found["settings"]["jax_enable_x64"] is False
    assert found["origin"]["threads"] == 1
    assert found["variables"]["left_out"] == {"JAX_ENABLE_X64": "1"}
    assert found["folders"]["temporary files"]["writable"]
    unusual = "\n".join(found["unusual"])
    assert "JAX_ENABLE_X64 is set: jobs compute without it" in unusual
    assert "NVIDIA_TF32_OVERRIDE=0" in unusual
    assert "study.yaml: " in unusual
    assert len(list(doctor.lines(found))) > 30


def test_folders_that_jobs_will_stumble_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("/no/such/scratch")
    monkeypatch.setattr(doctor, "_mounts", lambda: [("/", "ext4"), (str(tmp_path.resolve()), "nfs4")])
    monkeypatch.setattr(doctor, "_has_locks", lambda folder: False)
    unusual: list[str] = []
    found = doctor._folder("store", tmp_path / "link", unusual)
    assert (found["file system"], found["locks"]) == ("nfs4", False)
    said = "\n".join(unusual)
    for part in ("a link to /no/such/scratch, which is not there", "without locks", "network file system (nfs4)"):
        assert part in said


def test_a_folder_whose_locks_work() -> None:
    assert doctor._has_locks(Path("/tmp"))
