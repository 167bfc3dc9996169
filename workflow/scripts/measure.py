"""Measures one finished run: a JSON file with what was found at each step that was asked for."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nmepkg.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurement", required=True, help="id of the measurement")
    parser.add_argument("--spec", required=True, type=json.loads, help="canonical spec of the measurement, as JSON")
    parser.add_argument("--code", required=True, help="hash of the code, recorded with the result")
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--data", required=True, type=Path, help="prepared data of the run (.npz)")
    parser.add_argument("--out", required=True, type=Path, help="where the result goes (.json)")
    parser.add_argument("--cache", type=Path, help="folder of the compilation cache")
    arguments = parser.parse_args()

    from nmepkg.measurement.run import run  # after the arguments: it takes a second

    try:
        run(
            arguments.spec,
            arguments.run,
            arguments.data,
            arguments.out,
            name=arguments.measurement,
            code=arguments.code,
            cache=arguments.cache,
        )
    except (UserError, OSError) as error:
        print(f"{arguments.measurement}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
