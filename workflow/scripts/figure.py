"""Draws one figure of a study from the results of its runs: PDF, SVG, PNG, the tables behind it, and a record of what it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import job

from nmepkg.analysis.render import render
from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.runs.figure_identity import figure_identity
from nmepkg.storage import figure_record
from nmepkg.study import overrides
from nmepkg.study.load import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    overrides.add_options(parser)
    parser.add_argument("--figure", required=True, help="name of a figure of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study's figures")
    parser.add_argument("--digest", help="what the workflow planned to draw; anything else is refused")
    arguments = parser.parse_args()
    with job.one_line_errors(arguments.figure):
        study = load(arguments.study, overrides.chosen(arguments))
        expansion = expand(study)
        figure = study.figures.get(arguments.figure)
        if figure is None:
            raise UserError(
                f"{arguments.study}: no figure {arguments.figure!r}; choose from {', '.join(study.figures) or 'none'}"
            )
        identity = figure_identity(study, expansion, figure)
        if arguments.digest not in (None, identity["digest"]):
            raise UserError(f"{arguments.study}: study or code changed since this job was planned; run it again")
        table = arguments.out / f"{figure.name}.runs.csv"
        before = table.read_bytes() if table.exists() else None
        note = render(study, expansion, figure, arguments.out, identity)
        if table.read_bytes() != before:
            # The page, and what was collected of where figures come from, are no longer so.
            for name in ("page", "origin"):
                for record in figure_record(arguments.out, name, "").parent.glob("*.json"):
                    record.unlink()
    if note:
        print(f"figure.py: warning: figure {figure.name!r}: {note}", file=sys.stderr)


if __name__ == "__main__":
    main()
