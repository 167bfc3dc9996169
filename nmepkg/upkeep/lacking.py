"""On a terminal: what undecided claims lack."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmepkg.study.spec import Study
from nmepkg.training.progress import duration
from nmepkg.upkeep.seeds import More, cost, experiments


def show_lacking(console: Console, study: Study, lacking: Sequence[More], chosen: Sequence[More]) -> None:
    """What each undecided claim lacks, and experiments to paste for those that are chosen."""
    if not lacking:
        console.print("Every claim is decided.")
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("undecided", overflow="fold")
    table.add_column("setup", no_wrap=True)
    for name in ("more seeds at the effect seen", "at the smallest"):
        table.add_column(name, justify="right")
    for more in lacking:
        claim, setup = more.judged.comparison.claim, more.judged.comparison.setup
        shown = [_seeds(more, count) for count in (more.at_effect, more.at_smallest)]
        table.add_row(claim.name.replace("_", " "), escape(study.setups[setup].title or setup), *shown)
    console.print(table)
    if chosen:
        console.print(f"# at the effects seen, about {duration(cost(chosen))} of device time; claims: {len(chosen)}")
        console.print(escape(experiments(chosen)), end="")


def _seeds(more: More, count: int | None) -> str:
    if count is None:
        return "no number would do"
    return f"{count}, {duration(more.cost(count))}"
