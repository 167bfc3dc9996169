"""The notebooks of examples/ run, in small, and the output that they have is that of their code."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = {
    "nme_of_a_trained_net": {
        "EPOCHS, MIDDLE, WIDTH, BATCH = 20, 8, 16, 100": "EPOCHS, MIDDLE, WIDTH, BATCH = 4, 2, 3, 100",
        "samples=5000": "samples=500",
        "x[:500], y[:500]": "x[:50], y[:50]",
    },
    "gradient_penalty_in_your_loop": {
        "EPOCHS, BATCH, SEEDS = 20, 100, 5": "EPOCHS, BATCH, SEEDS = 1, 100, 2",
        "samples=5000, test=4000": "samples=500",
    },
}


def cells(name: str) -> list[dict[str, Any]]:
    """A notebook's cells of code."""
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def lines(text: str) -> list[str]:
    """What was printed, without its numbers and the space about them."""
    return [re.sub(r"\s*-?[\d.]+(e-?\d+)?", " #", line) for line in text.splitlines()]


def test_each_notebook_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_and_prints_what_it_shows(name: str) -> None:
    shown = cells(name)
    code = ["".join(cell["source"]) for cell in shown]
    for usual, small in SMALL[name].items():
        assert sum(usual in source for source in code) == 1, usual
        code = [source.replace(usual, small) for source in code]
    names: dict[str, Any] = {}
    for cell, source in zip(shown, code, strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source, name, "exec"), names)
        stream = "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
        assert lines(printed.getvalue()) == lines(stream), source
        assert bool(plt.get_fignums()) == any("image/png" in output.get("data", {}) for output in cell["outputs"])
        plt.close("all")
