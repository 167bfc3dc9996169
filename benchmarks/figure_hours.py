"""What each figure of a study costs on a GPU, from the steps that were timed there: the table of docs/scale.md.

    python -m benchmarks.figure_hours config/one_gpu_day.yaml "WRN-16-4"

A training takes its steps, each as long as docs/performance/gpu.csv says of its method on this network; of a method that is not
in it, as long as SGD's times what XLA counts of it (``METHODS[…].step_cost``). A run counts for the first figure that shows it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmepkg.registry import METHODS
from nmepkg.runs.expand import expand
from nmepkg.study.load import load
from nmepkg.study.setups import counts

TIMED = Path(__file__).resolve().parents[1] / "docs" / "performance" / "gpu.csv"
_TASKS = {"sgd": "SGD", "sam": "SAM", "psam": "PSAM", "hessian_trace": "Hessian trace", "gn_trace": "GN trace"}


def timed(network: str, precision: str = "tensorfloat32") -> dict[str, float]:
    """Method -> milliseconds of its step on a network, with one sample where it takes some."""
    with TIMED.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["network"], row["library"]) == (network, "nmepkg")]
    found = {row["task"]: float(row["milliseconds"]) for row in rows if row["precision"] == precision}
    return {method: found[task] for method, task in _TASKS.items()}


def step(method: Mapping[str, Any], measured: Mapping[str, float]) -> float:
    """Milliseconds of a step of a canonical method."""
    if method["name"] in measured and method.get("samples", 1) == 1:
        return measured[method["name"]]
    return measured["sgd"] * METHODS[method["name"]].step_cost(method)


def rows(study: Path, network: str) -> list[tuple[str, int, float]]:
    """(figure, runs that no earlier one shows, their hours); of all in the end."""
    loaded, measured = load(study), timed(network)
    expansion, seen, found = expand(loaded), set[str](), []
    for name, figure in loaded.figures.items():
        new = set(expansion.runs_of(figure)) - seen if figure.landscape is None else set()
        seen |= new
        specs = [expansion.runs[run].spec for run in new]
        hours = sum(counts(spec).steps * step(spec["method"], measured) for spec in specs) / 3_600_000
        found.append((name, len(new), hours))
    return [*found, ("all", len(seen), sum(hours for *_, hours in found))]


def table(study: Path, network: str) -> str:
    """The same as Markdown."""
    lines = [f"| `{name}` | {number} | {hours:.1f} |" for name, number, hours in rows(study, network)]
    return "\n".join(["| figure | new trainings | hours |", "|---|---|---|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("network", help="as docs/performance/gpu.csv calls the study's")
    arguments = parser.parse_args()
    print(table(arguments.study, arguments.network))


if __name__ == "__main__":
    main()
