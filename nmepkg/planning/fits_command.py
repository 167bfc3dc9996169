"""``python -m nmepkg fits``: its options, and what it says on a terminal and writes."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmepkg.errors import UserError
from nmepkg.files import written_whole
from nmepkg.planning.cards import CARDS
from nmepkg.planning.fits import (
    FIELDS,
    PROGRAMS,
    USABLE,
    UTILISATION,
    Row,
    found_by_process,
    missing_plugin,
    rows,
    shapes,
)
from nmepkg.runs.expansion import Expansion
from nmepkg.study.spec import Study

HELP = "Memory and hours of a study's programs on GPUs that need not be here, by compiling for them."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--device",
        nargs="+",
        choices=list(CARDS),
        default=["a100-80"],
        metavar="DEVICE",
        help=f"default: a100-80; of {', '.join(CARDS)}",
    )
    parser.add_argument(
        "--utilisation",
        type=float,
        help=f"share of the FLOP/s of a device's data sheet; default: {_of_kinds(UTILISATION)}",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the rows there")


def fits(options: argparse.Namespace, study: Study, expansion: Expansion, console: Console) -> list[Row]:
    """The rows of :func:`nmepkg.planning.fits.rows`; each is said on the standard error as soon as it is known.

    Raises:
      UserError: the utilisation is no share.
    """
    if options.utilisation is not None and not 0 < options.utilisation <= 1:
        raise UserError(f"fits: --utilisation {options.utilisation:g} is no share; give one above 0 and not above 1")
    missing, found = missing_plugin(), []
    if missing and options.json:
        print(f"nmepkg: {missing}", file=sys.stderr)
    answer = partial(found_by_process, extensions=study.extensions, beside=study.path.parent)
    for row in rows(shapes(study, expansion), dict.fromkeys(options.device), options.utilisation, answer, missing):
        found.append(row)
        if (largest := _largest(row)) is not None:
            needed = f"{_number(largest)} of {_number(row['device_gb'])} GB"
            print(f"{row['setup']}, {row['method']}, {row['device']}: {needed}", file=sys.stderr, flush=True)
        if options.csv:
            write(options.csv, found)
    if not options.json:
        show(console, found, options.utilisation)
    return found


def write(path: Path, found: Iterable[Row]) -> None:
    """A row a line, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(found)
    with written_whole(path) as file:
        file.write(text.getvalue().encode())


def show(console: Console, found: Sequence[Row], utilisation: float | None) -> None:
    """A table, and what its numbers are."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    for name in ("setup", "method", "device"):
        table.add_column(name, no_wrap=True)
    for name in ("runs", "step", "evaluate", "measure", "fits", "hours"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found:
        table.add_row(
            escape(row["setup"]),
            escape(row["method"]),
            f"{row['gpus']} × {row['device']}" if row["gpus"] > 1 else row["device"],
            str(row["runs"]),
            *(_number(row[f"{what}_gb"]) for what in PROGRAMS),
            {True: "[green]yes[/]", False: "[red]no[/]", None: "?"}[row["fits"]],
            _number(row["device_hours"]),
        )
    console.print(table)
    kinds = dict.fromkeys(row["products"] for row in found)
    shares = _of_kinds({kind: utilisation or UTILISATION[kind] for kind in kinds})
    console.print(
        f"GB on each device, of which {USABLE:.0%} of what it has are usable; device-hours of one training, in which it does "
        f"this share of its data sheet's FLOP/s, as small networks do not: {shares}"
    )
    for device, hours in totals(found).items():
        console.print(f"{device}, {CARDS[device].memory / 1e9:.3g} GB: {_number(hours)} device-hours for all trainings")
    for note in dict.fromkeys(row["note"] for row in found if row["note"]):
        console.print(f"[yellow]note[/] {escape(note)}")


def totals(found: Iterable[Row]) -> Mapping[str, float | None]:
    """Device -> device-hours of all trainings; None where those of one are not known."""
    hours: dict[str, float | None] = {}
    for row in found:
        before, each = hours.setdefault(row["device"], 0.0), row["device_hours"]
        hours[row["device"]] = None if before is None or each is None else before + row["runs"] * each
    return hours


def _of_kinds(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{share:g} of products in {kind}" for kind, share in shares.items())


def _largest(row: Row) -> float | None:
    return max((row[f"{what}_gb"] for what in PROGRAMS if row[f"{what}_gb"] is not None), default=None)


def _number(value: float | None) -> str:
    if value is None:
        return "·"
    return "< 0.01" if value < 0.01 else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
