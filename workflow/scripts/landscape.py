"""Computes one landscape: loss and curvature over two weights, in an .npz, from a spec."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nmepkg.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, type=json.loads, help="canonical spec, as JSON")
    parser.add_argument("--code", required=True, help="hash of the code, recorded with the result")
    parser.add_argument("--out", required=True, type=Path, help="where the result goes (.npz)")
    parser.add_argument("--cache", type=Path, help="folder of the compilation cache")
    arguments = parser.parse_args()

    from nmepkg.landscape.run import run  # after the arguments: it takes a second

    try:
        run(arguments.spec, arguments.out, code=arguments.code, cache=arguments.cache)
    except (UserError, OSError) as error:
        print(f"{arguments.out.stem}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
