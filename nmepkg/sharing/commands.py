"""``python -m nmepkg export``, ``import``, ``compare`` and ``pins``."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from nmepkg.errors import UserError
from nmepkg.files import present, written_whole
from nmepkg.planning.environment import check_store
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.storage import Store
from nmepkg.study import overrides
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.upkeep import adopt, pins
from nmepkg.upkeep.registration import register

Found = tuple[Any, int]  # for --json, and the exit status
_SHOWN = 20


def add_to(commands: Any, study: argparse.ArgumentParser, bare: argparse.ArgumentParser) -> None:
    """Adds the commands.

    Args:
      study, bare: parsers of what commands have in common: those that take ``--study``, and those that do not.
    """
    text = (
        "Writes the finished results of a study to one archive, which another machine checks, draws from and continues."
    )
    exporting = commands.add_parser("export", parents=[bare], help=text, description=text)
    exporting.add_argument("study", type=Path, metavar="STUDY")
    exporting.add_argument("file", type=Path, metavar="FILE", help="the archive, results.tar.xz")
    exporting.add_argument(
        "--parameters", action="store_true", help="with parameters and snapshots, which measuring needs"
    )
    exporting.set_defaults(command=export, alone=True)
    text = "Checks an archive, all of it, and puts its results into the store of their study here."
    importing = commands.add_parser("import", parents=[bare], help=text, description=text)
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.add_argument(
        "--study", type=Path, help="where the study is, or goes; default: as it was called, in config/"
    )
    importing.set_defaults(command=import_, alone=True)
    text = "Which means of a study's figures differ between two stores, or archives, by more than seeds explain."
    comparing = commands.add_parser("compare", parents=[study], help=text, description=text)
    comparing.add_argument("a", type=Path, metavar="A", help="a store's folder, or an archive")
    comparing.add_argument("b", type=Path, metavar="B", help="another one")
    comparing.add_argument("--csv", type=Path, metavar="FILE", help="write all points there")
    comparing.add_argument("--level", type=float, default=0.95, help="of intervals; default: %(default)s")
    comparing.set_defaults(command=compare, alone=True)
    text = "The digests of the numbers that a study's figures draw, to pin them. Exits with 1 where pinned ones moved."
    pinning = commands.add_parser("pins", parents=[study], help=text, description=text)
    pinning.set_defaults(command=pin, alone=True)


def _read(options: argparse.Namespace, besides: Mapping[str, Any] | None = None) -> tuple[Study, Expansion, Store]:
    study = load(options.study, {**(besides or {}), **overrides.chosen(options)})
    expansion = expand(study)
    check_store(study, expansion)
    return study, expansion, Store(Path(study.store))


def export(options: argparse.Namespace, console: Console) -> Found:
    """Exits with 0, also where some of the study is not finished: that is said."""
    from nmepkg.sharing import export  # with NumPy and Matplotlib, which the other commands do without

    study, expansion, store = _read(options)
    given = overrides.chosen(options)
    found = export.export(study, expansion, store, options.file, given, parameters=options.parameters)
    if not options.json:
        of = ", ".join(f"{there} of {whole} {what}" for what, (there, whole) in found.counts.items() if whole)
        console.print(escape(f"{options.file}: {of}; {found.size / 1e6:.1f} MB"))
        if any(there < whole for there, whole in found.counts.values()):
            console.print(escape(f"what is missing says: python -m nmepkg explain --study {options.study}"))
        if found.without:
            console.print(f"{found.without} runs are in it without parameters, which this store has not")
    return {"file": str(options.file), "counts": found.counts, "without": found.without, "size": found.size}, 0


def import_(options: argparse.Namespace, console: Console) -> Found:
    """Exits with 1 where the store has other results than the archive, or trains some just now; both stay."""
    from nmepkg.sharing import archive, checking, importing

    checked = checking.check(options.file)
    about = checked.manifest["study"]
    lines, wrote = [], _place_study(options, about, checking.file_of(checked, archive.STUDY))
    if wrote:
        lines.append(f"{options.study}: {wrote}")
    variant = {key: value for key, value in about["overrides"].items() if key in ("smoke", "select")}
    study, expansion, store = _read(options, variant)
    found = importing.put(checked, store)
    if any(found.new.values()):
        register(study, expansion)  # or who tidies up the store takes them for left over
    for what in ("runs", "measurements", "landscapes"):
        if new_and_there := found.new[what] + found.there[what]:
            lines.append(f"{store.root}: {new_and_there} {what} of the archive, {found.new[what]} of them new")
    lines += [f"{line}: what is here stays" for line in found.kept[:_SHOWN]]
    if len(found.kept) > _SHOWN:
        lines.append(f"… and {len(found.kept) - _SHOWN} more that differ")
    lines += [f"{run}: is trained here just now, or was meanwhile; left" for run in found.busy]
    there = sum(present(store.result(run)) for run in expansion.runs)
    lines += [f"{there} of the study's {len(expansion.runs)} runs are there, for the code as it is here"]
    lines += _stale(options, expansion, store)
    if not options.json:
        console.print(escape("\n".join(lines)))
    result = {"new": found.new, "there": found.there, "kept": found.kept, "busy": found.busy, "study": str(study.path)}
    return result, int(bool(found.kept or found.busy))


def _place_study(options: argparse.Namespace, about: Mapping[str, Any], text: bytes) -> str:
    """Where the study is to be read from: the one that is here, or else the archive's, which is written. What to say of it."""
    name = about["file"] if re.fullmatch(r"\w[\w.-]*\.ya?ml", about["file"]) else "study.yaml"
    options.study = options.study or (Path("config", name) if Path("config").is_dir() else Path(name))
    if present(options.study):
        same = options.study.read_bytes() == text
        return (
            "" if same else "is another text than the archive's study; to have that too, call import with --study FILE"
        )
    if not hasattr(options, "store"):
        # A file that somebody sent says where others are written: nowhere but here, unless the user says so.
        options.store = "results"
    with written_whole(options.study) as file:
        file.write(text)
    return f"the archive's study, new here; its store here is {options.store}"


def _stale(options: argparse.Namespace, expansion: Expansion, store: Store) -> list[str]:
    """What of the study is there by other code alone, and which of its modules differ."""
    try:
        found = adopt.adoptions(expansion, store)
    except UserError as problem:
        return [str(problem)]
    if not found:
        return []
    modules = sorted({module for adoption in found for module in adoption.modules})
    listed = ", ".join(modules[:5]) + (f" and {len(modules) - 5} more" if len(modules) > 5 else "")
    return [
        f"{len(found)} results are of other code than this clone's, which would compute them again; it differs in {listed}",
        f"check out what computed them, or, if that changes no result: python -m nmepkg adopt --study {options.study}",
    ]


def compare(options: argparse.Namespace, console: Console) -> Found:
    """Exits with 1 where a mean moved beyond its interval, or other runs diverged; equal results exit with 0."""
    if not 0 < options.level < 1:
        raise UserError(f"compare: --level {options.level:g} is no level; give one between 0 and 1, as 0.95")
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown
    from nmepkg.sharing import compare, terminal

    study = load(options.study, overrides.chosen(options))
    with ExitStack() as stack:
        a, b = (stack.enter_context(compare.opened(path)) for path in (options.a, options.b))
        found = compare.compare(study, expand(study), (a, b), options.level)
    if options.csv is not None:
        with written_whole(options.csv) as file:
            file.write(found.table.to_csv(index=False, lineterminator="\n").encode())
    if not options.json:
        terminal.show_comparison(console, found, str(options.a), str(options.b))
    return terminal.plain(found), int(bool(found.count(compare.MOVED) + found.count(compare.DIVERGED)))


def pin(options: argparse.Namespace, console: Console) -> Found:
    """Prints what a study can pin, as YAML."""
    study, expansion, _ = _read(options)
    found = pins.pins(study, expansion)
    if not options.json:
        console.print("pins:")
        for one in found:
            note = f"  # {one.pinned} is pinned" if one.moved else ""
            console.print(escape(f"  {one.figure}: {one.drawn}{note}" if one.drawn else f"  # {one.figure}: not drawn"))
    return [{**vars(one), "moved": one.moved} for one in found], int(any(one.moved for one in found))
