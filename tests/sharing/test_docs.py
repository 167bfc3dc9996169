"""The commands of docs/sharing.md, on made-up results."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from nmepkg.__main__ import main
from nmepkg.study.schema import study as keys
from tests.sharing.filled import filled

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "sharing.md").read_text(encoding="utf-8")


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are written; a clone apart imports what was exported."""
    here, there = filled(tmp_path / "here"), tmp_path / "there"
    shutil.copy(here.path, here.path.with_name("config.yaml"))
    (there / "config").mkdir(parents=True)
    commands = [line.partition("#")[0] for line in TEXT.splitlines() if line.startswith("python -m nmepkg")]
    assert [command.split()[3] for command in commands] == ["export", "import", "compare", "compare", "pins"]
    for command in commands:
        words = shlex.split(command)[3:]
        monkeypatch.chdir(there if words[0] == "import" else here.folder)
        if words[0] == "import":
            shutil.copy(here.folder / "results.tar.xz", there)
        assert main(words) == 0, command
    assert (there / "config" / "config.yaml").read_bytes() == here.path.read_bytes()
    columns = set(pd.read_csv(here.folder / "points.csv").columns)
    told = set(re.findall(r"`(\w+)`", TEXT[TEXT.index("| column of the CSV") :]))
    own = {name for name in columns if name in told or name.replace("b_", "a_", 1) in told}
    assert columns - own <= set(re.findall(r"^\| `(\w+)`", _tables(), flags=re.MULTILINE))


def _tables() -> str:
    return (Path(__file__).resolve().parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")


def test_its_pin_is_one() -> None:
    (digest,) = re.findall(r"figure_1: (sha256:\S+)", TEXT)
    assert re.match(keys()["properties"]["pins"]["additionalProperties"]["pattern"], digest)
