"""The settings of a cluster, and the profile that reads them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from snakemake.profiles import ProfileConfigFileParser

from nmepkg.errors import UserError
from nmepkg.planning import interruption, site
from nmepkg.planning.site import largest_memory, read_site, refuse_too_few_tries, refuse_too_long

ROOT = Path(__file__).resolve().parents[2]


def profile(folder: Path, text: str | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The profile's options, as Snakemake reads them in a folder with such a site file."""
    (folder / "profiles" / "slurm").mkdir(parents=True)
    if text is not None:
        (folder / "profiles" / "slurm" / "site.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # which the profile prepends to
    monkeypatch.setenv("GRES_OF_GPUS", "")
    monkeypatch.setenv("LARGEST_MEMORY_MB", "")
    monkeypatch.setattr(interruption, "cancel_when_interrupted", lambda: None)
    with (ROOT / "profiles" / "slurm" / "config.yaml").open(encoding="utf-8") as file:
        return dict(ProfileConfigFileParser().parse(file))


def test_the_example_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "profiles" / "slurm" / "site.example.yaml").read_text(encoding="utf-8")
    whole = (
        text.replace("\n# qos:", "\nqos:").replace("\n# constraint:", "\nconstraint:").replace("\n# extra:", "\nextra:")
    )
    whole = whole.replace("\n# jobs: 500", "\njobs: 7").replace("\n# retries: 15", "\nretries: 1")
    found = profile(tmp_path, whole, monkeypatch)
    assert found["default-resources"][3:] == [
        "slurm_account='my_project'",
        "qos='normal'",
        "constraint='ib'",
        "slurm_extra='--mail-type=FAIL'",
    ]
    assert found["slurm-partition-config"] == "profiles/slurm/site.yaml"
    rules = ("train", "train_again", "train_together", "measure", "measure_together")
    assert found["set-resources"] == [f"{rule}:gpu_model='a100'" for rule in rules]
    assert (found["jobs"], found["retries"]) == ("7", "1")


@pytest.mark.parametrize("text", [None, "", "# account: me\n\n"])
def test_a_site_may_say_nothing(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile(tmp_path, text, monkeypatch)
    assert found["configfile"] == ["config/paper.yaml"]
    assert (found["jobs"], found["retries"]) == ("500", "15")
    assert found["default-resources"] == ["mem_mb=2000", "runtime=30", "nodes=1"]
    assert "slurm-partition-config" not in found
    assert "set-resources" not in found


def test_the_profile_puts_its_commands_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(tmp_path, None, monkeypatch)
    assert os.environ["PATH"].startswith(f"{tmp_path}/profiles/slurm/bin{os.pathsep}")


def test_gpus_by_gres_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = profile(tmp_path, "gres: gpu:a100\n", monkeypatch)
    assert os.environ["GRES_OF_GPUS"] == "gpu:a100", "the rules know how many"
    assert "set-resources" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acount: x", "unknown key 'acount'; did you mean 'account'?"),
        ("account: 7", "account: 7 is not text"),
        ("partitions: {gpu: {max_gpus: 8}}", "partitions.gpu: unknown key 'max_gpus'; did you mean 'max_gpu'?"),
        ("partitions: {}", "partitions: is empty; name at least one"),
        ("gpu_model: a100:1", "gpu_model: 'a100:1' is not a name of a GPU"),
        ("gres: a100", "gres: 'a100' does not name GPUs"),
        ("{gres: gpu, gpu_model: a100}", "gpu_model: goes with gres into one; write gres: gpu:a100 alone"),
        ("jobs: 0", "jobs: 0 is below the smallest allowed value, 1"),
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


def test_says_how_to_install_what_submits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"python -m pip install --editable '\.\[slurm\]'"):
        read_site(tmp_path / "site.yaml")


@pytest.fixture
def sinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    command = tmp_path / "sinfo"
    command.write_text("#!/bin/sh\nprintf 'short 30:00\\nlong 1-12:30:00\\n'\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return command


def test_what_partitions_give_at_most() -> None:
    assert largest_memory({}) == math.inf
    assert largest_memory({"partitions": {"a": {"max_mem_mb": 1}, "b": {"max_mem_mb": 3}}}) == 3
    assert largest_memory({"partitions": {"a": {"max_mem_mb": 1}, "b": {}}}) == math.inf


def test_refuses_trainings_that_cannot_end() -> None:
    trainings = [("small", "sgd", 3.0, 24.0), ("large", "hessian_trace", 356.3, 24.0), ("large", "sgd", 18.75, 24.0)]
    refuse_too_few_tries(trainings, 15)
    refuse_too_few_tries([], 1)
    with pytest.raises(UserError) as caught:
        refuse_too_few_tries(trainings, 4)
    assert str(caught.value) == (
        "large: a training by hessian_trace takes about 356 h, by device_hours of its setup, and 4 jobs of 24 h are 96 h; "
        "write retries: 15 into profiles/slurm/site.yaml, or raise resources.hours"
    )


def test_refuses_what_no_partition_gives_the_time_for(sinfo: Path) -> None:
    refuse_too_long({"train": 36 * 60 + 30, "measure": 1})
    with pytest.raises(
        UserError, match=r"^train: asks for 2191 minutes, and the longest partition, long, allows 2190; lower"
    ):
        refuse_too_long({"measure": 1, "train": 2191})


@pytest.mark.parametrize("answer", ["echo any infinite", "exit 1", "true"])
def test_allows_what_slurm_does_not_forbid(answer: str, sinfo: Path) -> None:
    sinfo.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    refuse_too_long({"train": 10**6})
