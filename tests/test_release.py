"""A release says one version everywhere, or says where not."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
assert SPEC is not None
assert SPEC.loader is not None
release = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release)


def git(folder: Path, *words: str) -> None:
    words = ("-c", "user.name=a", "-c", "user.email=a@b", *words)
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def test_every_place_has_to_say_the_version(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    git(tmp_path, "init", "-q")
    found = list(release.problems(tmp_path, "9.8.7"))
    assert [line.partition(":")[0] for line in found] == ["pyproject.toml", "CITATION.cff", "CHANGELOG.md", "git"]
    assert found[-1] == "git: there is no commit here, which a tag could name; release from a clone"
    edits = {
        "pyproject.toml": (f'version = "{release.version(ROOT)}"', 'version = "9.8.7"'),
        "CITATION.cff": (f"version: {release.version(ROOT)}", "version: 9.8.7\ndate-released: 2027-01-31"),
        "CHANGELOG.md": ("## Unreleased", "## 9.8.7 (2027-01-31)"),
    }
    for name, (old, new) in edits.items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, (name, old)
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "A release")
    assert list(release.problems(tmp_path, "9.8.7")) == []
    git(tmp_path, "tag", "-a", "v9.8.7", "-m", "A release")
    assert list(release.problems(tmp_path, "9.8.7")) == [], "tagged already, and it is this one"
    git(tmp_path, "commit", "--allow-empty", "-qm", "More")
    (line,) = release.problems(tmp_path, "9.8.7")
    assert "v9.8.7 is another commit" in line
    (line,) = release.problems(tmp_path, "v9.8.7")
    assert line == "VERSION=v9.8.7: is written 9.8.7; call make release VERSION=9.8.7"
    assert list(release.problems(tmp_path, "next")) == ["VERSION=next: is no version; give one as 0.2.0"]


def test_who_cites_and_who_installs_sees_the_same_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == release.version(ROOT)


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"1")
    (tmp_path / "c").write_bytes(b"2")
    (tmp_path / "SHA256SUMS").write_text(release.sums(tmp_path))
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
