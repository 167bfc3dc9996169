"""What a study's figures come from: its YAML, the versions and devices behind their runs, and a record of what these are of."""

from __future__ import annotations

import argparse
from pathlib import Path

import job

from nmepkg import records
from nmepkg.analysis.origin import versions
from nmepkg.errors import UserError
from nmepkg.files import file_sha256, written_whole
from nmepkg.runs.expand import expand
from nmepkg.runs.figure_identity import origin_identity
from nmepkg.storage import ORIGIN, figure_record
from nmepkg.study import overrides
from nmepkg.study.load import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="tables of the runs behind figures (.runs.csv)")
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    overrides.add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the study's figures")
    parser.add_argument("--digest", help="what the workflow planned to collect; anything else is refused")
    arguments = parser.parse_args()
    with job.one_line_errors("origin.py"):
        text = arguments.study.read_bytes()
        study = load(arguments.study, overrides.chosen(arguments))
        identity = origin_identity(study, expand(study))
        if arguments.digest not in (None, identity["digest"]) or text != arguments.study.read_bytes():
            raise UserError(f"{arguments.study}: study or code changed since this job was planned; run it again")
        record = figure_record(arguments.out, "origin", identity["digest"])
        for old in record.parent.glob("*.json"):
            old.unlink()
        table = versions(arguments.runs)
        if taken := overrides.chosen(arguments):
            text = f"# Taken with {overrides.arguments(taken)}\n".encode() + text
        contents = {"study.yaml": text, "versions.csv": table.to_csv(index=False, lineterminator="\n").encode()}
        for name, content in contents.items():
            with written_whole(arguments.out / name) as file:
                file.write(content)
        hashes = {name: file_sha256(arguments.out / name) for name in contents}
        records.write(record, ORIGIN, {"study": study.name, **identity, "files": hashes})


if __name__ == "__main__":
    main()
