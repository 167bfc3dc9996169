"""The tables of docs/performance.md, and one of docs/scale.md, from the measurements in docs/performance/.

    python benchmarks/tables.py

Each stands between ``<!-- name -->`` and ``<!-- end -->``; what is written there by hand is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
SCALE = PAGE.with_name("scale.md")
METHODS = ["sgd", "psam", "hessian_trace"]


def flags(measured: pd.DataFrame) -> Iterable[list[str]]:
    """Of ``xla_flags_2.csv``: a row a network, times in units of XLA's own choice."""
    choices = [choice for choice in measured["choice"].unique() if choice != "XLA's own"]
    yield ["network", *choices]
    for model, rows in measured.groupby("model", sort=False):
        ratios = rows.pivot(index="method", columns="choice", values="ratio").loc[METHODS]
        yield [str(model), *(", ".join(f"{ratio:.2f}" for ratio in ratios[choice]) for choice in choices)]


def compiling(measured: pd.DataFrame) -> Iterable[list[str]]:
    """Of ``compiling.csv``: seconds of tracing and compiling, milliseconds of a step."""
    yield ["network", "method", "option", "written out: compiling", "step", "loop: compiling", "step"]
    for _, row in measured.iterrows():
        cells = []
        for way in ("written out", "loop"):
            cells += [f"{row[f'trace, {way}'] + row[f'compile, {way}']:.1f}", f"{1e3 * row[f'step, {way}']:.1f}"]
        yield [row["model"], row["method"], f"{row['option']} {row['value']}", *cells]


def growth(measured: pd.DataFrame) -> Iterable[list[str]]:
    """Of ``growth.csv``: CPU seconds and peak memory, a column a number of runs."""
    counts = sorted(measured["runs"].unique())
    yield ["step", "finished", *(f"{count:,} runs" for count in counts)]
    for (step, finished), rows in measured.groupby(["step", "finished"], sort=False):
        costs = rows.set_index("runs")[["cpu_s", "memory_mb"]].reindex(counts)
        told = ["" if pd.isna(seconds) else f"{seconds:.1f} s, {memory:.0f} MB" for seconds, memory in costs.to_numpy()]
        yield [str(step), str(finished), *told]


def gpu(measured: pd.DataFrame) -> Iterable[list[str]]:
    """Of ``gpu.csv``: a row a network and task, ours beside PyTorch's."""
    cells = measured.set_index(["network", "task", "library"])
    operations = cells["tflop"].groupby(level=["network", "task"]).first()  # counted once for both
    yield [
        "network",
        "task",
        "ours, ms",
        "PyTorch, ms",
        "ours / theirs",
        "ours, TFLOP/s",
        "compiling, s",
        "ours, GB",
        "PyTorch, GB",
    ]

    def told(column: str, place: tuple[str, str], library: str) -> float:
        return cells[column].get((*place, library), float("nan"))

    for place in dict.fromkeys(zip(measured["network"], measured["task"], strict=True)):
        mine, theirs = (told("milliseconds", place, library) for library in ("nmepkg", "PyTorch"))
        numbers = [mine, theirs, mine / theirs, 1e3 * operations[place] / mine, told("compiling", place, "nmepkg")]
        memory = [told("gigabytes", place, library) for library in ("nmepkg", "PyTorch")]
        yield [*place, *map(_three_digits, [*numbers, *memory])]


def operators(measured: pd.DataFrame) -> Iterable[list[str]]:
    """Of ``operators.csv``: a row a task and another library; memory is of the large network, errors are of the small."""
    small, large = "MLP 2×16", "MLP 3×128"
    cells = {(row["network"], row["task"], row["library"]): row for _, row in measured.iterrows()}
    yield [
        *("task", "beside", f"{small}: ours / theirs", f"{large}: ours / theirs", "ours, ms", "ours, MB", "theirs, MB"),
        *("ours, error", "theirs, error"),
    ]

    def told(place: tuple[str, str, str], column: str) -> float:
        return float(cells[place][column]) if place in cells else float("nan")

    for task, library in dict.fromkeys((task, library) for _, task, library in cells if library != "nmepkg"):
        failed = [
            (network, task, library) in cells and cells[network, task, library]["failure"] for network in (small, large)
        ]
        ratios = [told((network, task, library), "ratio") for network in (small, large)]
        mine, theirs = (large, task, "nmepkg"), (large, task, library)
        numbers = [1e3 * told(mine, "seconds"), told(mine, "megabytes"), told(theirs, "megabytes")]
        errors = [told((small, task, whose), "error") for whose in ("nmepkg", library)]
        yield [
            *(task, library),
            *(
                "fails" if no else "" if pd.isna(ratio) else f"{ratio:.2f}"
                for no, ratio in zip(failed, ratios, strict=True)
            ),
            *map(_three_digits, numbers),
            *("" if pd.isna(error) else f"{error:.0e}" for error in errors),
        ]


def fits(found: pd.DataFrame) -> Iterable[list[str]]:
    """Of ``fits.csv``, which ``python -m nmepkg fits --csv`` writes: a row a program, and hours of one training."""
    yield [
        "setup",
        "method",
        "runs",
        "GPUs",
        "step, GB",
        "evaluation, GB",
        "measurement, GB",
        "TFLOP a step",
        "GPU-hours",
    ]
    for _, row in found.iterrows():
        numbers = [*row[["step_gb", "evaluation_gb", "measurement_gb"]], row["tflop_per_step"]]
        hours = f"{row['device_hours']:,.0f}"
        yield [row["setup"], row["method"], str(row["runs"]), str(row["gpus"]), *map(_three_digits, numbers), hours]


def _three_digits(number: float) -> str:
    return "" if pd.isna(number) else f"{number:#.3g}".rstrip(".")


TABLES: dict[str, tuple[str, Callable[[pd.DataFrame], Iterable[list[str]]]]] = {
    "flags": ("xla_flags_2.csv", flags),
    "compiling": ("compiling.csv", compiling),
    "growth": ("growth.csv", growth),
    "gpu": ("gpu.csv", gpu),
    "operators": ("operators.csv", operators),
}


TABLES_OF_SCALE = {"fits": ("fits.csv", fits)}


def render(text: str, folder: Path, tables: dict[str, Any] = TABLES) -> str:
    """The page with its tables as measured.

    Args:
      folder: of the measurements.
    """
    for name, (file, rows) in tables.items():
        header, *body = rows(
            pd.read_csv(folder / file, dtype={"failure": str, "note": str}).fillna({"failure": "", "note": ""})
        )
        lines = [f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *body]]
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        after = rest.partition("<!-- end -->\n")[2]
        text = "\n".join([f"{before}<!-- {name} -->", *lines, f"<!-- end -->\n{after}"])
    return text


if __name__ == "__main__":
    for page, tables in ((PAGE, TABLES), (SCALE, TABLES_OF_SCALE)):
        page.write_text(render(page.read_text(encoding="utf-8"), PAGE.with_suffix(""), tables), encoding="utf-8")
