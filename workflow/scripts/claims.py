"""Judges the claims of a study from the results of its runs: a table of verdicts, a forest plot, and a record of both."""

from __future__ import annotations

import argparse
from pathlib import Path

import job

from nmepkg.analysis.claims.write import write
from nmepkg.errors import UserError
from nmepkg.runs.expand import expand
from nmepkg.runs.figure_identity import claims_identity
from nmepkg.storage import figure_record
from nmepkg.study import overrides
from nmepkg.study.load import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    overrides.add_options(parser)
    parser.add_argument("--table", type=Path, required=True, help="the table of verdicts (CSV)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study's figures")
    parser.add_argument("--digest", help="what the workflow planned to judge; anything else is refused")
    arguments = parser.parse_args()
    with job.one_line_errors("claims.py"):
        study = load(arguments.study, overrides.chosen(arguments))
        expansion = expand(study)
        identity = claims_identity(study, expansion)
        if arguments.digest not in (None, identity["digest"]):
            raise UserError(f"{arguments.study}: study or code changed since this job was planned; run it again")
        for record in figure_record(arguments.out, "page", "").parent.glob("*.json"):
            record.unlink()
        write(study, expansion, arguments.table, arguments.out, identity)


if __name__ == "__main__":
    main()
