"""Draws one figure of a study from the results of its runs: PDF, SVG, PNG and the tables behind it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nmepkg.analysis.render import render
from nmepkg.errors import UserError
from nmepkg.study.expand import expand, figure_digest
from nmepkg.study.load import load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file (YAML)")
    parser.add_argument("--figure", required=True, help="name of a figure of the study")
    parser.add_argument("--out", type=Path, required=True, help="path of the outputs without their endings")
    parser.add_argument("--digest", help="what the workflow planned to draw; anything else is refused")
    arguments = parser.parse_args()
    try:
        study = load(arguments.study)
        expansion = expand(study)
        figure = study.figures.get(arguments.figure)
        if figure is None:
            raise UserError(
                f"{arguments.study}: no figure {arguments.figure!r}; choose from {', '.join(study.figures) or 'none'}"
            )
        if arguments.digest is not None and arguments.digest != figure_digest(study, expansion, figure):
            raise UserError(f"{arguments.study}: study or code changed since this job was planned; run it again")
        warnings = render(study, expansion, figure, arguments.out)
    except UserError as error:
        print(f"figure.py: {error}", file=sys.stderr)
        return 2
    for warning in warnings:
        print(f"figure.py: warning: {warning}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
