"""What a study's figures come from: its YAML, and the versions and devices behind their runs, for the report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nmepkg.analysis.origin import versions
from nmepkg.errors import UserError
from nmepkg.files import written_whole
from nmepkg.study import overrides


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="tables of the runs behind figures (.runs.csv)")
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    overrides.add_options(parser)
    parser.add_argument("--out-study", type=Path, required=True, help="where a copy of the study goes")
    parser.add_argument("--out-versions", type=Path, required=True, help="where the table goes (.csv)")
    arguments = parser.parse_args()
    try:
        table = versions(arguments.runs)
        with written_whole(arguments.out_versions) as file:
            file.write(table.to_csv(index=False, lineterminator="\n").encode())
        with written_whole(arguments.out_study) as file:
            if taken := overrides.chosen(arguments):
                file.write(f"# Taken with {overrides.arguments(taken)}\n".encode())
            file.write(arguments.study.read_bytes())
    except (UserError, OSError) as error:
        print(f"origin.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
