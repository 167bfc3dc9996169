"""Verdicts on a terminal: a table of claims. Planning shows it too, without Matplotlib and all that judges."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmepkg.study.spec import Study

_COLOURS = {"supported": "green", "contradicted": "red", "undecided": "yellow"}


def counted(table: Path) -> Iterator[str]:
    """Lines that count verdicts and name those that say no, or nothing yet: ``verdicts: 9 supported, 1 contradicted, …``.

    Args:
      table: the file of verdicts.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    yield "verdicts: " + _counts(row["verdict"] for row in rows)
    for verdict in ("contradicted", "undecided"):
        setups: dict[str, list[str]] = {}
        for row in rows:
            if row["verdict"] == verdict:
                setups.setdefault(row["claim"], []).append(row["setup"])
        if setups:
            yield f"  {verdict}: " + ", ".join(f"{claim} ({', '.join(where)})" for claim, where in setups.items())


def _counts(verdicts: Iterable[str]) -> str:
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in _COLOURS)


def show_claims(console: Console, study: Study, rows: Iterable[Mapping[str, Any]]) -> None:
    """A row a claim and setup: the effect with its interval, the seeds, the verdict.

    Args:
      rows: of the table of verdicts.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("claim", overflow="fold")
    for name in ("setup", "effect"):
        table.add_column(name, no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("verdict", no_wrap=True)
    before, told = "", []
    for row in rows:
        setup, verdict = str(row["setup"]), str(row["verdict"])
        told.append(verdict)
        name = escape(str(row["claim"]).replace("_", " ")) if row["claim"] != before else ""
        before = str(row["claim"])
        title = study.setups[setup].title if setup in study.setups else setup
        n = str(int(row["n_seeds"]) or "·")
        table.add_row(name, escape(title or setup), _effect(row), n, f"[{_COLOURS[verdict]}]{verdict}[/]")
    console.print(table)
    console.print(_counts(told))


def _effect(row: Mapping[str, Any]) -> str:
    """``+2.1 [0.9, 3.4]``, and a factor as ``× 0.02 [0.01, 0.04]``."""
    factor = row["unit"] == "factor"
    effect = f"× {row['effect']:.3g}" if factor else f"{row['effect']:+.3g}"
    if row["ci_low"] is None or math.isnan(row["ci_low"]):
        return effect
    return escape(f"{effect} [{row['ci_low']:.3g}, {row['ci_high']:.3g}]")
