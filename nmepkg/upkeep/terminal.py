"""Upkeep on a terminal: tables and lines that a person reads."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmepkg.training.progress import duration
from nmepkg.upkeep.adopt import Adoption
from nmepkg.upkeep.explain import Reason
from nmepkg.upkeep.gc import Leftover
from nmepkg.upkeep.registration import name_of

_SHOWN = 10  # of a list; the rest is counted
_NOUNS = {
    "data": "data set",
    "origin": "origin of the figures",
    "claims": "set of claims",
    "page": "page of all figures",
}
_COLOURS = {
    "done": "green",
    "running": "cyan",
    "stopped": "yellow",
    "failed": "red",
    "diverged": "magenta",
    "damaged": "red",
}


def show_status(console: Console, found: Mapping[str, Any]) -> None:
    """A row a figure, what is running and what failed, and the time spent and to go."""
    figures = found["figures"].values()
    shown = [status for status in found["runs"] if status in ("done", "missing") or found["runs"][status]]
    jobs = any(_jobs(figure)[1] for figure in figures)
    # With every column, 80 signs wide.
    table = Table(title=f"{found['study']}  ({found['file']}, store {found['store']})", title_justify="left")
    table.box, table.show_edge, table.padding = SIMPLE_HEAD, False, 0
    table.add_column("figure", no_wrap=True)
    for name in (*shown, *(["computed"] if jobs else [])):
        table.add_column(name, justify="right", style=_COLOURS.get(name))
    table.add_column("drawn")
    for name, figure in found["figures"].items():
        counts = [str(figure["runs"][status] or "·") for status in shown]
        done, of = _jobs(figure)
        computed = [f"{done}/{of}" if of else "·"] if jobs else []
        table.add_row(escape(name), *counts, *computed, "[green]yes[/]" if figure["drawn"] else "[yellow]no[/]")
    totals = [str(found["runs"][status]) for status in shown]
    table.add_section()
    table.add_row("all runs", *totals, *[""] * (jobs + 1))
    console.print(table)
    for run in found["running"][:_SHOWN]:
        left = f", {duration(run['left_seconds'])} left" if run["left_seconds"] is not None else ""
        console.print(f"[cyan]running[/] {escape(run['run'])}: epoch {run['epoch']} of {run['epochs']}{left}")
    for run in found["stopped"][:_SHOWN]:
        console.print(
            f"[yellow]stopped[/] {escape(run['run'])}: after epoch {run['epoch']} of {run['epochs']}, to go on"
        )
    for kind in ("failed", "damaged"):
        for run in found[kind][:_SHOWN]:
            where = f"; log: {run['log']}" if kind == "failed" else ""
            console.print(f"[red]{kind}[/] {escape(job_name(run))}: {escape(run['problem'] + where)}")
    for problem, count in Counter(run["problem"] for run in found["again"]).most_common(_SHOWN):
        runs = "1 run is" if count == 1 else f"{count} runs are"
        console.print(f"[yellow]again[/] {runs} trained once more: {escape(problem)}")
    for kind in ("running", "stopped", "failed", "damaged"):
        if len(found[kind]) > _SHOWN:
            console.print(f"… and {len(found[kind]) - _SHOWN} more {kind}")
    for line in found["moved"]:
        console.print(f"[yellow]moved[/] {escape(line)}")
    hours = found["device_hours"]
    unknown = f", and {hours['unknown_runs']} runs like none that is finished" if hours["unknown_runs"] else ""
    to_go = f", about {duration(3600 * hours['to_go'])} to go" if hours["to_go"] else ""
    console.print(f"device time: {duration(3600 * hours['spent'])} spent{to_go}{unknown}")
    disk = found["disk"]
    if disk["bytes"]:
        counted = f", with {disk['snapshots']} snapshots on the way" if disk["snapshots"] else ""
        others = f", without {disk['unknown_runs']} runs of models that are not counted" if disk["unknown_runs"] else ""
        console.print(f"disk: about {_bytes(disk['bytes'])} of parameters to come{counted}{others}")
    estimates = dict(found["estimates"])
    if not estimates:
        return
    if len(estimates) > 1:
        total = {key: sum(estimate[key] for estimate in estimates.values()) for key in ("runs", "device_hours")}
        devices = {estimate["device"] for estimate in estimates.values()}
        estimates["in all"] = {**total, "device": devices.pop() if len(devices) == 1 else None}
    console.print("estimates of device time, until runs alike are finished:")
    for name, estimate in estimates.items():
        on = f" on {estimate['device']}" if estimate["device"] else ""
        console.print(escape(f"  {name}: {estimate['runs']} runs, {duration(3600 * estimate['device_hours'])}{on}"))


def job_name(described: Mapping[str, Any]) -> str:
    """What a job that failed, or whose result is damaged, is called."""
    return next(described[what] for what in ("run", "measurement", "landscape", "figure") if what in described)


def _jobs(figure: Mapping[str, Any]) -> tuple[int, int]:
    """How many of a figure's measurements and landscapes there are, and of how many."""
    kinds = figure["measurements"], figure["landscapes"]
    return sum(kind["done"] for kind in kinds), sum(kind["of"] for kind in kinds)


def show_reasons(console: Console, reasons: Sequence[Reason]) -> None:
    """Like reasons together: what they are, how many, and the first of them."""
    if not reasons:
        console.print("Nothing would run: everything is there, of this study and this code.")
        return
    groups: dict[tuple[Any, ...], list[Reason]] = defaultdict(list)
    for reason in reasons:
        places = tuple(place for place, _, _ in reason.changes)
        told_alone = (
            reason.id if reason.kind in ("failed", "damaged", "stopped", "running", "changed", "deleted") else ""
        )
        groups[reason.what, reason.kind, places, reason.modules, told_alone].append(reason)
    for (what, kind, *_), group in groups.items():
        noun = _NOUNS.get(what, what)
        count = f"{len(group)} {noun}{'s' if len(group) > 1 else ''}"
        console.print(f"[bold]{count}[/]: {escape(_why(kind, group))}")
        shown = group if what == "figure" else group[:3]
        for reason in shown:
            beside = f"  (nearest: {reason.neighbour})" if reason.neighbour and kind == "new" else ""
            beside = f": {reason.detail}" if what == "figure" and kind == "inputs" else beside
            console.print(f"    {escape(reason.id + beside)}", style="dim", highlight=False)
        if len(group) > len(shown):
            console.print(f"    … and {len(group) - len(shown)} more", style="dim")


def _why(kind: str, group: Sequence[Reason]) -> str:
    first = group[0]
    parts = []
    for i, (place, _, _) in enumerate(first.changes):
        there, here = (_listed(reason.changes[i][j] for reason in group) for j in (1, 2))
        parts.append(f"{place} is {here} (nearest: {there})")
    if first.modules or kind in ("code", "data"):
        parts.append(_changed(first.modules))
    if kind == "inputs" and len(group) > 1:
        parts.append("what they are made of comes first")
    elif first.detail:
        parts.append(first.detail)
    return "; ".join(parts)


def _changed(modules: Sequence[str]) -> str:
    return f"changed code: {', '.join(modules)}" if modules else "changed code: another name in the same modules"


def _listed(values: Iterable[Any]) -> str:
    distinct = list(dict.fromkeys("absent" if value is None else str(value) for value in values))
    return ", ".join(distinct[:6]) + (f" … ({len(distinct)} values)" if len(distinct) > 6 else "")


def show_leftovers(console: Console, found: Sequence[Leftover], deleted: bool) -> None:
    """What is left over, by kind, with sizes, owners and dates."""
    if not found:
        console.print("Nothing is left over.")
        return
    table = Table()
    for name, side in (("kind", "left"), ("size", "right"), ("owner", "left"), ("changed", "left"), ("path", "left")):
        table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    for leftover in found:
        cells = (leftover.kind, _bytes(leftover.size), leftover.owner, leftover.changed, str(leftover.path))
        table.add_row(*map(escape, cells))
    console.print(table)
    total = f"{len(found)} things, {_bytes(sum(leftover.size for leftover in found))}"
    console.print(f"Deleted {total}." if deleted else f"{total}. Nothing was deleted: call gc --yes to delete them.")


def show_unseen(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """Studies that are not to be found here, and go on to protect what they use."""
    for content in found:
        name = name_of(content)
        console.print(
            escape(
                f"Kept: {len(content['runs'])} runs and more that {name} used, called last by {content['user']} on "
                f"{content['date'][:10]}. If it is no more: gc --forget {shlex.quote(name)}"
            )
        )


def show_adoptions(console: Console, found: Sequence[Adoption], done: bool) -> None:
    """What serves for what, and which modules changed in between."""
    if not found:
        console.print("There is nothing to adopt: no missing result has a finished one of the same spec.")
        return
    groups: dict[tuple[str, tuple[str, ...]], list[Adoption]] = defaultdict(list)
    for adoption in found:
        groups[adoption.what, adoption.modules].append(adoption)
    for (what, modules), group in groups.items():
        why = _changed(modules) if modules or what != "measurement" else "its run's code changed, its own did not"
        console.print(f"[bold]{len(group)} {what}{'s' if len(group) > 1 else ''}[/]: {escape(why)}")
        for adoption in group[:_SHOWN]:
            console.print(f"    {escape(adoption.old)} → {escape(adoption.new)}", style="dim", highlight=False)
        if len(group) > _SHOWN:
            console.print(f"    … and {len(group) - _SHOWN} more", style="dim")
    console.print("Adopted." if done else "Nothing was adopted: call adopt --yes if this code gives the same results.")


def _bytes(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.1f} GB"


def plain(items: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses as JSON has them."""
    return [{key: _plain(value) for key, value in vars(item).items()} for item in items]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
