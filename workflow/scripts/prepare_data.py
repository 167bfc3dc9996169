"""Prepares one data set: arrays (.npz) and beside them (.json) what they are and their hash."""

from __future__ import annotations

import job

from nmepkg.data import store
from nmepkg.registry import DATASETS
from nmepkg.study.verify import planned_data


def main() -> None:
    arguments = job.parser(__doc__).parse_args()
    with job.one_line_errors(arguments.id):
        planned = planned_data(arguments.id, arguments.spec, arguments.code)
        planned.load()
        options = {key: value for key, value in arguments.spec.items() if key != "name"}
        arrays = DATASETS[arguments.spec["name"]].load()(**options)
        planned.check_imports()
        planned.describe(arguments.store)
        store.write(arguments.store.data(arguments.id), arrays, arguments.spec, code=arguments.code)


if __name__ == "__main__":
    main()
