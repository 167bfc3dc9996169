"""Bad studies end a call in one line, before anything is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nmepkg.planning import start
from tests.planning.calls import MadeCall, RefusedError
from tests.workflow.refusals import STUDIES, put


@pytest.mark.parametrize("case", STUDIES)
def test_a_bad_study(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, place, remedy = STUDIES[case]
    monkeypatch.chdir(tmp_path)
    put(content, Path("study.yaml"))
    call = MadeCall(study="study.yaml")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RefusedError) as refused:
        start.plan(call)
    line = str(refused.value)
    assert line.startswith(f"study.yaml: {place}")
    assert remedy in line
    assert len(line) < 400
    assert "\n" not in line
    assert call.said == []
    assert sorted(tmp_path.iterdir()) == before


def test_planning_imports_nothing_heavy() -> None:
    """Snakemake would start later, and Matplotlib refuses a backend that a notebook's shell names and that is not there."""
    code = (
        "import sys, nmepkg.planning.start; print({'jax', 'flax', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "set()\n"
