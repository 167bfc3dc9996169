"""A comparison of two stores on a terminal."""

from __future__ import annotations

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmepkg.sharing.compare import DIVERGED, MOVED, SAME, UNTOLD, WITHIN, Comparison

_SHOWN = 40


def show_comparison(console: Console, found: Comparison, a: str, b: str) -> None:
    """A row a point that moved, and how many would have by chance."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("figure", "setup", "line"):
        table.add_column(name, overflow="fold")
    for name in ("strength", "of", "A", "B", "B − A", "p"):
        table.add_column(name, no_wrap=True)
    moved = found.table[found.table["verdict"].isin([MOVED, DIVERGED])].sort_values("p", kind="stable")
    rows: list[dict[str, Any]] = json.loads(moved.head(_SHOWN).to_json(orient="records", double_precision=15))
    for row in rows:
        line = " ".join(str(row[f"{key}_label"]) for key in ("method", "activation"))
        at = f" at {row['at']}" if isinstance(row.get("at"), str | int) else ""
        x = f" {row['x_name']}={row['x']:g}" if row["x_name"] != row["strength_name"] else ""
        cells = [row["figure"], row["setup"], line, f"{row['strength']:g}", f"{row['y_name']}{at}{x}"]
        cells += [
            _mean(row, "a_"),
            _mean(row, "b_"),
            _difference(row),
            "" if row["p"] is None else f"{row['p']:.2g}",
        ]
        table.add_row(*map(escape, cells))
    console.print(escape(f"A is {a}, B is {b}"))
    if len(moved):
        console.print(table)
    if len(moved) > _SHOWN:
        console.print(f"… and {len(moved) - _SHOWN} more: --csv FILE has all")
    tested = found.count(WITHIN) + found.count(MOVED)
    holm = int((found.table["p_holm"] < 1 - found.level).sum())
    console.print(
        f"{len(found.table)} points: {found.count(SAME)} equal to the last bit; of {tested} others, {found.count(MOVED)} moved "
        f"beyond the {100 * found.level:g}% interval of their difference, where chance alone would move "
        f"{found.by_chance:.1f}, and {holm} hold all together (Holm)"
    )
    rest = {
        f"{found.count(DIVERGED)} of which other runs diverged": found.count(DIVERGED),
        f"{found.count(UNTOLD)} differ and have too few seeds to tell": found.count(UNTOLD),
        f"{found.apart[0]} only in A": found.apart[0],
        f"{found.apart[1]} only in B": found.apart[1],
    }
    if said := [text for text, count in rest.items() if count]:
        console.print("; ".join(said))
    for line in found.left:
        console.print(escape(f"not compared: {line}"))


def _mean(row: dict[str, Any], of: str) -> str:
    """``0.71 [0.69, 0.73]``, and how many runs diverged."""
    low, high, diverged = row[f"{of}ci_low"], row[f"{of}ci_high"], row[f"{of}n_diverged"]
    text = "" if row[f"{of}mean"] is None else f"{row[f'{of}mean']:.4g}"
    text += "" if low is None else f" [{low:.4g}, {high:.4g}]"
    return f"{text} ({diverged} diverged)".strip() if diverged else text


def _difference(row: dict[str, Any]) -> str:
    low, high = row["difference_ci_low"], row["difference_ci_high"]
    if row["difference"] is None:
        return ""
    return f"{row['difference']:+.3g}" + ("" if low is None else f" [{low:.3g}, {high:.3g}]")


def plain(found: Comparison) -> dict[str, Any]:
    """The same for machines."""
    return {
        "points": json.loads(found.table.to_json(orient="records")),
        "by_chance": found.by_chance,
        "only_in": {"a": found.apart[0], "b": found.apart[1]},
        "not_compared": list(found.left),
    }
