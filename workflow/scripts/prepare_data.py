"""Prepares one data set: arrays (.npz) and beside them (.json) what they are and their hash."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.registry import DATASETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, type=json.loads, help="name and options of the data set, as JSON")
    parser.add_argument("--out", required=True, type=Path, help="where the arrays go (.npz)")
    arguments = parser.parse_args()
    options = {key: value for key, value in arguments.spec.items() if key != "name"}
    try:
        store.write(arguments.out, DATASETS[arguments.spec["name"]].load()(**options), arguments.spec)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
