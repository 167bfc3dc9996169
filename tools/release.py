"""What `make release VERSION=x` checks before it builds, and says at its end. It tags nothing, and sends nothing anywhere."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]


def version(root: Path) -> str:
    """The version, from where it is written first: ``pyproject.toml``."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def problems(root: Path, asked: str) -> Iterator[str]:
    """What of a clone does not say that it is this release: a line each, with the remedy."""
    try:
        if str(Version(asked)) != asked:
            yield f"VERSION={asked}: is written {Version(asked)}; call make release VERSION={Version(asked)}"
            return
    except InvalidVersion:
        yield f"VERSION={asked}: is no version; give one as 0.2.0"
        return
    if (found := version(root)) != asked:
        yield f"pyproject.toml: version is {found}; make it {asked}"
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    if str(citation.get("version")) != asked:
        yield f"CITATION.cff: version is {citation.get('version')}; make it {asked}"
    date = citation.get("date-released")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    first = next(iter(re.findall(r"^## (.*)$", changes, flags=re.MULTILINE)), "")
    heading = re.fullmatch(rf"{re.escape(asked)} \((\d{{4}}-\d\d-\d\d)\)", first)
    if heading is None:
        yield f"CHANGELOG.md: its first heading is '## {first}'; make it '## {asked} (YYYY-MM-DD)'"
    elif str(date) != heading[1]:
        yield f"CITATION.cff: date-released is {date}; make it {heading[1]}, as CHANGELOG.md has it"
    yield from _git(root, asked)


def _git(root: Path, asked: str) -> Iterator[str]:
    """A tag names a commit: that has to be what is built."""
    if not (head := _said(root, "rev-parse", "--verify", "HEAD")):
        yield "git: there is no commit here, which a tag could name; release from a clone"
        return
    if _said(root, "status", "--porcelain"):
        yield "git: there are changes that no commit has; commit them, as what is tagged is a commit"
    tagged = _said(root, "rev-list", "-n", "1", f"refs/tags/v{asked}")
    if tagged and tagged != head:
        yield f"git: v{asked} is another commit, {tagged[:12]}; release another version"


def _said(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def sums(folder: Path) -> str:
    """SHA-256 of the files of a folder, as ``sha256sum --check`` reads them."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def main() -> int:
    """Checks, or says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["check", "say"])
    parser.add_argument("version", nargs="?", default="")
    options = parser.parse_args()
    if options.what == "check":
        found = list(problems(ROOT, options.version))
        for line in found:
            print(line, file=sys.stderr)
        return int(bool(found))
    text, name = sums(ROOT / "dist"), f"v{options.version}"
    (ROOT / "dist" / "SHA256SUMS").write_text(text, encoding="utf-8")
    print(
        f"{text}\nAll of it is in dist/. To publish it, tag this commit, and put the files of dist/ beside the tag:\n"
    )
    print(f"    git tag -a {name} -m 'nmepkg {options.version}'\n    git push origin {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
