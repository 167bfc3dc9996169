"""Prepares one data set: arrays (.npz) and beside them (.json) what they are and their hash."""

from __future__ import annotations

import sys
from pathlib import Path

import job

from nmepkg.data import store
from nmepkg.errors import UserError
from nmepkg.files import arrays_sha256, present
from nmepkg.registry import DATASETS
from nmepkg.study.verify import planned_data


def main() -> None:
    parser = job.parser(__doc__)
    parser.add_argument("--source", type=Path, help="folder that the data set is made from")
    arguments = parser.parse_args()
    with job.one_line_errors(arguments.id):
        path = arguments.store.data(arguments.id)
        if all(map(present, arguments.store.data_files(arguments.id))):
            store.read_description(path, arrays_sha256(store.read_prepared(path)))
            return print("prepared already: nothing to do", file=sys.stderr)
        planned = planned_data(arguments.id, arguments.spec, arguments.code)
        planned.load()
        options = {key: value for key, value in arguments.spec.items() if key != "name"}
        data = DATASETS[arguments.spec["name"]]
        if data.source == "prepared" and arguments.source is None:
            raise UserError("--source: missing; name the folder of the data set under 'sources' of the study")
        arrays = data.load()(*([arguments.source] if data.source else []), **options)
        planned.check_imports()
        planned.describe(arguments.store)
        store.write(path, arrays, arguments.spec, code=arguments.code)


if __name__ == "__main__":
    main()
