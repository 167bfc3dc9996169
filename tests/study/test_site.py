"""The settings of a cluster, and the profile that reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from snakemake.profiles import ProfileConfigFileParser

from nmepkg.errors import UserError
from nmepkg.study.site import read_site

ROOT = Path(__file__).resolve().parents[2]


def profile(folder: Path, site: str | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The profile's options, as Snakemake reads them in a folder with such a site file."""
    (folder / "profiles" / "slurm").mkdir(parents=True)
    if site is not None:
        (folder / "profiles" / "slurm" / "site.yaml").write_text(site, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # which the profile prepends to
    with (ROOT / "profiles" / "slurm" / "config.yaml").open(encoding="utf-8") as file:
        return dict(ProfileConfigFileParser().parse(file))


def test_the_example_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "profiles" / "slurm" / "site.example.yaml").read_text(encoding="utf-8")
    whole = (
        text.replace("\n# qos:", "\nqos:").replace("\n# constraint:", "\nconstraint:").replace("\n# extra:", "\nextra:")
    )
    whole = whole.replace("\n# jobs: 500", "\njobs: 7").replace("\n# retries: 3", "\nretries: 1")
    whole = whole.replace("\n# status_command:", "\nstatus_command:")
    found = profile(tmp_path, whole, monkeypatch)
    assert found["default-resources"][2:] == [
        "slurm_account='my_project'",
        "qos='normal'",
        "constraint='ib'",
        "slurm_extra='--mail-type=FAIL'",
    ]
    assert found["slurm-partition-config"] == "profiles/slurm/site.yaml"
    assert found["set-resources"] == [f"{rule}:gpu_model='a100'" for rule in ("train", "train_together", "measure")]
    assert (found["jobs"], found["retries"], found["slurm-status-command"]) == ("7", "1", "sacct")


def test_a_site_may_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile(tmp_path, None, monkeypatch)
    assert found["configfile"] == ["config/paper.yaml"]
    assert (found["jobs"], found["retries"], found["slurm-status-command"]) == ("500", "3", "squeue")
    assert found["default-resources"] == ["mem_mb=2000", "runtime=30"]
    assert "slurm-partition-config" not in found
    assert "set-resources" not in found


def test_the_profile_puts_its_commands_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(tmp_path, None, monkeypatch)
    assert os.environ["PATH"].startswith(f"{tmp_path}/profiles/slurm/bin{os.pathsep}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acount: x", "unknown key 'acount'; did you mean 'account'?"),
        ("account: 7", "account: 7 is not text"),
        ("partitions: {gpu: {max_gpus: 8}}", "partitions.gpu: unknown key 'max_gpus'; did you mean 'max_gpu'?"),
        ("partitions: {}", "partitions: is empty; name at least one"),
        ("gpu_model: a100:1", "gpu_model: 'a100:1' is not a name"),
        ("jobs: 0", "jobs: 0 is below the smallest allowed value, 1"),
        ("status_command: qstat", "status_command: unknown value 'qstat'; did you mean 'sacct'?"),
        ("account: [", ""),
    ],
)
def test_refuses_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_site(path)
    assert str(caught.value).startswith(f"{path}: {message}" if message else str(path))
    assert "\n" not in str(caught.value)
