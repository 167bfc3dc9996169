"""Draws one figure of a study from the results of its runs: `figure.py --study FILE --figure NAME --out STEM`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nmepkg.analysis.render import render
from nmepkg.errors import UserError
from nmepkg.study.expand import expand
from nmepkg.study.load import load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    parser.add_argument("--figure", required=True, help="name of a figure of the study")
    parser.add_argument("--out", type=Path, required=True, help="path of the outputs without their endings")
    parser.add_argument("--cells-digest", help="changes when the figure's runs do, so that the workflow draws it again")
    arguments = parser.parse_args()
    try:
        study = load(arguments.study)
        warnings = render(study, expand(study), arguments.figure, arguments.out)
    except UserError as error:
        print(f"figure.py: {error}", file=sys.stderr)
        return 2
    for warning in warnings:
        print(f"figure.py: warning: {warning}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
