"""Trains one run: ``result.json`` and ``params.npz`` in a folder, from a spec and prepared data."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nmepkg.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="id of the run")
    parser.add_argument("--spec", required=True, type=json.loads, help="canonical spec, as JSON")
    parser.add_argument("--code", required=True, help="hash of the code, recorded with the result")
    parser.add_argument("--data", required=True, type=Path, help="prepared data (.npz)")
    parser.add_argument("--out", required=True, type=Path, help="folder of the result")
    parser.add_argument("--cache", type=Path, help="folder of the compilation cache")
    arguments = parser.parse_args()

    from nmepkg.training.run import run  # after the arguments: it takes a second

    try:
        run(
            arguments.spec,
            arguments.data,
            arguments.out,
            name=arguments.run,
            code=arguments.code,
            cache=arguments.cache,
        )
    except (UserError, OSError) as error:  # a full disk is no bug either
        print(f"{arguments.run}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
