"""A comparison of two stores on a terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from nmepkg.sharing.compare import DIVERGED, MOVED, SAME, UNTOLD, WITHIN, Comparison

_SHOWN = 40


def show_comparison(console: Console, found: Comparison, a: str, b: str) -> None:
    """Two lines a point that moved, and how many would have by chance."""
    moved = found.table[found.table["verdict"].isin([MOVED, DIVERGED])].sort_values("p", kind="stable")
    rows: list[dict[str, Any]] = json.loads(moved.head(_SHOWN).to_json(orient="records", double_precision=15))
    console.print(escape(f"from {a} to {b}"))
    for row in rows:
        console.print(f"[bold]{escape(_point(row))}[/]")
        p = "" if row["p"] is None else f", p = {row['p']:.2g}"
        console.print(escape(f"    {_mean(row, 'a_')} → {_mean(row, 'b_')}: {_difference(row)}{p}"))
    if len(moved) > _SHOWN:
        console.print(f"… and {len(moved) - _SHOWN} more: --csv FILE has all")
    tested = found.count(WITHIN) + found.count(MOVED)
    holm = int((found.table["p_holm"] < 1 - found.level).sum())
    said = {
        f"{len(found.table)} points, {found.count(SAME)} of them equal to the last bit": len(found.table),
        f"of {tested} others {found.count(MOVED)} moved beyond the {100 * found.level:g}% interval of their difference; "
        f"by chance alone {found.by_chance:.1f} would, and all together {holm} hold (Holm)": tested,
        f"{found.count(DIVERGED)} of which other seeds diverged": found.count(DIVERGED),
        f"{found.count(UNTOLD)} differ, and have too few seeds to tell": found.count(UNTOLD),
        f"{found.apart[0]} are only in {a}": found.apart[0],
        f"{found.apart[1]} are only in {b}": found.apart[1],
        **{f"not compared: {line}": 1 for line in found.left},
    }
    for line, count in said.items():
        if count:
            console.print(escape(line))


def _point(row: dict[str, Any]) -> str:
    """``figure_1: mlp, PSAM, ReLU, rho 0.1: test_accuracy``."""
    parts = [row["setup"], row["method_label"], row["activation_label"]]
    parts += [f"{row['strength_name']} {row['strength']:g}"] if row["strength_name"] else []
    parts += [f"{row['x_name']} {row['x']:g}"] if row["x_name"] != row["strength_name"] else []
    places = [f" at {row['at']}" if row.get("at") is not None else ""]
    places += [f", radius {row['radius']:g}" if row.get("radius") is not None else ""]
    return f"{row['figure']}: {', '.join(parts)}: {row['y_name']}{''.join(places)}"


def _mean(row: dict[str, Any], of: str) -> str:
    """``0.71 [0.69, 0.73]``, and how many runs diverged."""
    low, high, diverged = row[f"{of}ci_low"], row[f"{of}ci_high"], row[f"{of}n_diverged"]
    text = "none" if row[f"{of}mean"] is None else f"{row[f'{of}mean']:.4g}"
    text += "" if low is None else f" [{low:.4g}, {high:.4g}]"
    return f"{text} ({diverged} diverged)" if diverged else text


def _difference(row: dict[str, Any]) -> str:
    low, high = row["difference_ci_low"], row["difference_ci_high"]
    if row["difference"] is None:
        return "not to be told"
    return f"{row['difference']:+.3g}" + ("" if low is None else f" [{low:.3g}, {high:.3g}]")


def plain(found: Comparison) -> dict[str, Any]:
    """The same for machines."""
    return {
        "points": json.loads(found.table.to_json(orient="records")),
        "by_chance": found.by_chance,
        "only_in": {"a": found.apart[0], "b": found.apart[1]},
        "not_compared": list(found.left),
    }
