"""Puts the figures of a study, their captions and the verdicts on one page of HTML that needs no other file."""

from __future__ import annotations

import argparse
from pathlib import Path

import job

from nmepkg import records
from nmepkg.analysis.page import page
from nmepkg.errors import UserError
from nmepkg.files import file_sha256, written_whole
from nmepkg.runs.expand import expand
from nmepkg.runs.figure_identity import page_identity
from nmepkg.storage import PAGE, figure_record
from nmepkg.study import overrides
from nmepkg.study.load import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    overrides.add_options(parser)
    parser.add_argument("--table", type=Path, required=True, help="the table of verdicts (CSV)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study's figures")
    parser.add_argument("--digest", help="what the workflow planned to show; anything else is refused")
    arguments = parser.parse_args()
    with job.one_line_errors("page.py"):
        study = load(arguments.study, overrides.chosen(arguments))
        expansion = expand(study)
        identity = page_identity(study, expansion)
        if arguments.digest not in (None, identity["digest"]):
            raise UserError(f"{arguments.study}: study or code changed since this job was planned; run it again")
        record = figure_record(arguments.out, "page", identity["digest"])
        for old in record.parent.glob("*.json"):
            old.unlink()
        file = arguments.out / "index.html"
        with written_whole(file) as opened:
            opened.write(page(study, expansion, arguments.out, arguments.table).encode())
        records.write(record, PAGE, {"study": study.name, **identity, "files": {file.name: file_sha256(file)}})


if __name__ == "__main__":
    main()
