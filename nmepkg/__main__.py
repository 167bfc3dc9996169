"""``python -m nmepkg``: what a study has, why something would run, what is left over, goes on to serve or goes elsewhere."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from nmepkg.errors import UserError
from nmepkg.files import present
from nmepkg.planning import doctor, fits_command
from nmepkg.planning.environment import check_store, one_line
from nmepkg.runs.expand import expand
from nmepkg.runs.expansion import Expansion
from nmepkg.sharing import commands as commands_of_sharing
from nmepkg.storage import Store
from nmepkg.study import overrides
from nmepkg.study.load import load
from nmepkg.study.spec import Study
from nmepkg.upkeep import adopt, draw, explain, gc, new, registration, status, terminal, watch

_DEFAULT = Path("config/config.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        file = next((word for word in unknown if word.endswith((".yaml", ".yml"))), None)
        parser.error(f"name a study by --study {file}" if file else f"unrecognized arguments: {' '.join(unknown)}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # signs that a terminal lacks are no reason to fail
    # In a file or a pipe nothing is broken into lines, whatever reads it.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)
    try:
        if options.command in (_doctor, _new, _schema):
            return int(options.command(options))
        if hasattr(options, "alone"):  # commands that read studies by themselves, and have an exit status of their own
            found, code = options.command(options, console)
            if options.json:
                print(json.dumps(found, indent=1))
            return int(code)
        if options.study == _DEFAULT and not present(_DEFAULT):
            raise UserError(f"{_DEFAULT}: not here; call this in the project's folder, or name a study by --study FILE")
        study = load(options.study, overrides.chosen(options))
        expansion = expand(study)
        check_store(study, expansion)
        found = options.command(options, study, expansion, Store(Path(study.store)), console)
    except (UserError, OSError, UnicodeEncodeError) as error:
        print(f"nmepkg: {one_line(error)}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found, indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    bare = argparse.ArgumentParser(add_help=False)
    overrides.add_options(bare)
    bare.add_argument("--json", action="store_true", help="for machines")
    common = argparse.ArgumentParser(add_help=False, parents=[bare])
    common.add_argument("--study", type=Path, default=_DEFAULT, help="default: %(default)s")
    parser = argparse.ArgumentParser(prog="python -m nmepkg", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=text, description=text)
        added.set_defaults(command=command)
        return added

    telling = add("status", _status, "How far each figure is, what is running or failed, device time spent and to go.")
    telling.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=5.0,
        metavar="SECONDS",
        help="again and again, until the study has ended",
    )
    drawing = add("draw", _draw, "One figure of results that are there, or one panel of it, into a folder of your own.")
    draw.add_options(drawing)
    explaining = add("explain", _explain, "Why each run, measurement and figure would be computed.")
    explaining.add_argument(
        "only", nargs="*", metavar="RUN|FIGURE", help="ids, their beginnings, or figures; default: all"
    )
    tidying = add("gc", _gc, "What no study of config/, or of others who share the store, uses. Deletes with --yes.")
    tidying.add_argument(
        "--kind", choices=["orphan", "other code", "unfinished", "temporary", "compiled"], help="only these"
    )
    tidying.add_argument("--yes", action="store_true", help="delete what is listed")
    tidying.add_argument(
        "--forget",
        metavar="STUDY",
        help="first take back that a study, FILE or HOST:FILE, uses the store: it is no more",
    )
    adopting = add(
        "adopt", _adopt, "Declares that a change of code changes no result: what is finished goes on to serve."
    )
    adopting.add_argument(
        "only", nargs="*", metavar="RUN|FIGURE", help="ids, their beginnings, or figures; default: all"
    )
    adopting.add_argument("--reason", help="why the results are the same; recorded with each, and shown in tables")
    adopting.add_argument("--yes", action="store_true", help="adopt what is listed")
    judging = add("claims", _claims, "The study's claims with their verdicts, from the runs that are finished.")
    judging.add_argument("--next", action="store_true", help="how many more seeds, of which runs, would decide each")
    judging.add_argument("--budget", metavar="TIME", help="with --next: no more device time than this, as 30min or 2h")
    fits_command.add_options(add("fits", _fits, fits_command.HELP))
    commands_of_sharing.add_to(commands, common, bare)
    making = commands.add_parser("new", help="A folder with a study and code of your own, which runs at once.")
    making.add_argument("folder", type=Path)
    making.set_defaults(command=_new, json=False)
    add("schema", _schema, "The study's JSON Schema, its extensions' keys included, by which editors complete it.")
    add("doctor", _doctor, "Versions, devices, settings and folders that jobs here would have, and what is unusual.")
    return parser


def _new(options: argparse.Namespace) -> int:
    new.new(options.folder)
    print(f"{options.folder} has a study, code of yours and a README.md; next: cd {options.folder} && snakemake")
    return 0


def _schema(options: argparse.Namespace) -> int:
    load(options.study, overrides.chosen(options))
    print(new.schema(), end="")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    folders = {"working folder": Path(), "temporary files": Path(tempfile.gettempdir())}
    problem = None
    try:
        study = load(options.study, overrides.chosen(options))
        folders |= {"store": Path(study.store), "output": Path(study.output)}
    except UserError as error:
        problem = str(error)
    found = doctor.examine(folders)
    found["unusual"] += [problem] if problem else []
    print(json.dumps(found, indent=1) if options.json else "\n".join(doctor.lines(found)))
    return 0


def _status(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    if options.watch is not None:
        if options.json or not options.watch > 0:
            raise UserError("status: --watch takes seconds above 0, and goes without --json")
        lock = Path(".snakemake", f"{study.name}.lock")
        terminal_alone = Console(highlight=False, width=console.width)
        return watch.watch(terminal_alone, study, expansion, store, options.watch, lock)
    found = status.status(study, expansion, store)
    if not options.json:
        terminal.show_status(console, found)
    return found


def _draw(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    drawn = draw.draw(options, study)
    if not options.json:
        console.print(f"The figure is {options.out / options.figure}.pdf", markup=False)
    return drawn


def _explain(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    wanted = _named(options.only, study, expansion)
    reasons = explain.explain(study, expansion, store)
    if options.only:
        reasons = [reason for reason in reasons if reason.id in wanted]
    if not options.json:
        terminal.show_reasons(console, reasons)
    return terminal.plain(reasons)


def _gc(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    if options.forget is not None:
        registration.forget(store, options.forget)
    studies = gc.studies_of(Path("config"), [options.study], store)
    if overrides.chosen(options):
        studies.append((study, expansion))
    found = [item for item in gc.leftovers(store, studies) if options.kind in (None, item.kind)]
    if options.yes:
        found = list(gc.delete(found))
    if not options.json:
        terminal.show_leftovers(console, found, options.yes)
        terminal.show_unseen(console, [other for other in gc.others(store, studies) if gc.out_of_sight(other)])
    return terminal.plain(found)


def _adopt(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    if options.yes and not options.reason:
        raise UserError("adopt: the option --reason is missing; say why this code gives the same results")
    found = adopt.adoptions(expansion, store, _named(options.only, study, expansion))
    if options.yes:
        for adoption in found:
            adopt.adopt(store, adoption, options.reason)
    if not options.json:
        terminal.show_adoptions(console, found, options.yes)
    return terminal.plain(found)


def _fits(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    return fits_command.fits(options, study, expansion, console)


def _claims(options: argparse.Namespace, study: Study, expansion: Expansion, store: Store, console: Console) -> Any:
    os.environ["MPLBACKEND"] = "agg"  # nothing is shown; what a notebook's shell names may not be installed here
    from nmepkg.analysis.claims import judge, write  # with pandas and Matplotlib, which take a second
    from nmepkg.upkeep import lacking, seeds, verdicts

    if options.budget is not None and not options.next:
        raise UserError("claims: --budget is of --next; give both")
    budget = None if options.budget is None else seeds.seconds_of(options.budget)
    if not study.claims:
        raise UserError(f"{study.path}: the study has no claims; see 'claims' in config/README.md")
    judged = write.look_at(study, expansion)
    found = judge.verdicts(judged)
    if options.next:
        undecided = seeds.undecided(store, study, judged, found)
        chosen = seeds.affordable(undecided, budget)
        if not options.json:
            lacking.show_lacking(console, study, undecided, chosen)
        return {"experiments": seeds.experiments(chosen)}
    rows = json.loads(judge.table(study, judged).to_json(orient="records"))
    if not options.json:
        verdicts.show_claims(console, study, rows)
    return rows


def _named(names: Sequence[str], study: Study, expansion: Expansion) -> set[str]:
    """Ids that names stand for: a figure and all behind it, or what begins with the name.

    Raises:
      UserError: a name stands for nothing.
    """
    known = [*expansion.runs, *expansion.measurements, *expansion.panels(), *expansion.datasets]
    found: set[str] = set()
    for name in names:
        if name in study.figures:
            figure = study.figures[name]
            jobs = expansion.landscapes.get(figure.landscape or "", ())
            matches = [
                name,
                *expansion.runs_of(figure),
                *expansion.measurements_of(figure),
                *(job.id for _, job in jobs),
            ]
        else:
            matches = [id for id in known if id.startswith(name)]
        if not matches:
            remedy = (
                f"name a study by --study {name}"
                if name.endswith((".yaml", ".yml"))
                else "see: python -m nmepkg status"
            )
            raise UserError(f"{name}: no figure, run or measurement of {study.path}; {remedy}")
        found |= set(matches)
    return found


if __name__ == "__main__":
    sys.exit(main())
